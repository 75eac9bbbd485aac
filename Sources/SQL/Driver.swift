/// One engine behind `Database`: where work waits, which thread runs it, how transactions begin and end.
///
/// Bodies are synchronous (see `Database`), so each engine runs them on threads of its own.
protocol Driver: Sendable {
    var statistics: Statistics { get }
    var backlog: Backlog { get }

    /// Runs a body on a connection that sees one committed snapshot and can change nothing.
    func read<T: Sendable>(
        deadline: ContinuousClock.Instant?, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T

    /// Runs a body in a transaction; returns after the transaction is durable.
    func write<T: Sendable>(
        deadline: ContinuousClock.Instant?, isolation: Isolation, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T

    /// Runs a body in a transaction that no other process migrates beside.
    func migrate<T: Sendable>(_ body: @escaping @Sendable (any Session) throws -> T) async throws -> T

    /// See `Database.emptyLog`.
    func emptyLog() async throws -> Bool

    /// Finishes queued work, refuses new work, closes every connection.
    func close() async
}

/// What a transaction is kept apart from. On SQLite every transaction is alone.
package enum Isolation: Sendable {
    /// As if transactions came one after the other; run again when they cannot have.
    case serializable
    /// For bodies whose every decision is made by a statement that locks the rows it decides about, such as the taking
    /// of work from a queue.
    case readCommitted
}

/// A connection as a body sees it. Never leaves the thread that owns the connection.
protocol Session: AnyObject {
    var dialect: Dialect { get }

    /// What follows a SELECT of rows that are to be taken from a queue.
    var lockingRows: String { get }

    /// Rows of one statement; more than `limit` rows is an error, not a truncated answer.
    func query(_ sql: String, _ parameters: Parameters, limit: Int) throws -> [Row]

    /// Runs one statement; the number of rows it changed.
    func execute(_ sql: String, _ parameters: Parameters) throws -> Int

    /// Inserts many rows.
    ///
    /// - Parameter key: rows whose value of this unique column is there already are left out; nil makes them an error.
    /// - Returns: how many rows were inserted.
    func insert(into table: String, columns: [String], rows: [[Value]], unlessKnownBy key: String?) throws -> Int

    /// Runs several statements without parameters: migrations.
    func script(_ sql: String) throws
}

/// Work that waits for a thread.
package struct Backlog: Sendable, Equatable {
    package var reads = 0
    package var writes = 0

    package init(reads: Int = 0, writes: Int = 0) {
        self.reads = reads
        self.writes = writes
    }
}

/// Counters since the database was opened.
package struct Statistics: Sendable, Equatable {
    /// Write transactions acknowledged.
    package var transactions = 0
    /// Durable commits: fewer than `transactions` when concurrent transactions shared one.
    package var commits = 0
    /// Write transactions that failed and were rolled back.
    package var rollbacks = 0
    /// Read transactions completed.
    package var reads = 0
    /// Statements run by bodies.
    package var statements = 0
    /// Statements compiled; the rest came from a connection's cache.
    package var prepared = 0
    /// Work refused because a queue was full.
    package var refusals = 0

    package init() {}
}
