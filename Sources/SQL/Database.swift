/// A database: snapshots to read, transactions to write, migrations. One per process and file; safe to share.
///
/// **Why bodies are synchronous.** A transaction body may wait for its own statements and for nothing else: a body that
/// awaits a remote call holds locks for as long as the network likes. With a synchronous closure the compiler enforces
/// that rule, on every engine. For SQLite, where a statement is a function call, it also means a body is never
/// suspended, so one writer thread can put many transactions into one durable commit. For PostgreSQL a statement is a
/// round trip, and the same closure runs on the worker thread of a pooled connection, parked while the statement is on
/// the wire: as many threads as connections, a few dozen, none of them an event loop's or the cooperative pool's. An
/// `async` body on a custom executor would have saved those threads and given away both guarantees.
///
/// **Bodies may be run again** (a neighbour's failure can undo a shared commit; PostgreSQL asks for a retry), so they
/// have no effect besides their statements.
package final class Database: Sendable {
    private let driver: any Driver
    private let observer: Observer?

    /// Told of each piece of work when it has ended: what it was, how long it took with its wait, and whether the
    /// database failed. An error that the body throws for reasons of its own is no failure.
    package typealias Observer = @Sendable (_ operation: Operation, _ took: Duration, _ hasFailed: Bool) -> Void

    package enum Operation: Sendable, Hashable {
        case read
        case write
    }

    init(driver: any Driver, observer: Observer? = nil) {
        self.driver = driver
        self.observer = observer
    }

    /// Opens a database.
    ///
    /// - Parameter url: `sqlite:<path>`, or `postgres://user:password@host:5432/name?schema=auth`.
    /// - Throws: `SQLError` of kind `.unsupported`, `.unavailable` or `.corrupt`.
    package static func open(url: String, options: Options = Options()) async throws -> Database {
        if let path = url.dropping(prefix: "sqlite:") {
            return Database(
                driver: try await SQLiteDriver.open(path: path, options: options), observer: options.observer)
        }
        if url.hasPrefix("postgres:") || url.hasPrefix("postgresql:") {
            return Database(
                driver: try await PostgresDriver.open(url: url, options: options), observer: options.observer)
        }
        throw SQLError(.unsupported, "the database URL must be sqlite:<path> or postgres://...")
    }

    package var statistics: Statistics { driver.statistics }
    /// What waits for a thread now.
    package var backlog: Backlog { driver.backlog }

    /// Reads from one committed snapshot, beside the writer.
    ///
    /// - Parameter deadline: the work is dropped when it still waits then, interrupted when it still runs.
    /// - Throws: what the body throws; `SQLError`; `CancellationError` when cancelled while queued.
    package func read<T: Sendable>(
        deadline: ContinuousClock.Instant? = nil, _ body: @escaping @Sendable (borrowing Connection) throws -> T
    ) async throws -> T {
        try await observed(.read) {
            do {
                return try await driver.read(deadline: deadline) { try body(Connection($0)) }
            } catch let error as SQLError {
                throw error.undone()
            }
        }
    }

    /// Runs a transaction and returns when it is durable. A body that throws rolls back its own changes only.
    ///
    /// A statement of PostgreSQL is stopped when the caller is cancelled or its deadline passes. Once its commit is asked
    /// for, a transaction is not: its result is what happened.
    package func write<T: Sendable>(
        deadline: ContinuousClock.Instant? = nil, isolation: Isolation = .serializable,
        _ body: @escaping @Sendable (borrowing Transaction) throws -> T
    ) async throws -> T {
        try await observed(.write) {
            try await driver.write(deadline: deadline, isolation: isolation) { try body(Transaction($0)) }
        }
    }

    func migrating<T: Sendable>(
        _ body: @escaping @Sendable (borrowing Transaction) throws -> T
    ) async throws -> T {
        try await observed(.write) { try await driver.migrate { try body(Transaction($0)) } }
    }

    private func observed<T: Sendable>(_ operation: Operation, _ work: () async throws -> T) async throws -> T {
        guard let observer else { return try await work() }
        let start = ContinuousClock.now
        do {
            let value = try await work()
            observer(operation, start.duration(to: .now), false)
            return value
        } catch {
            observer(operation, start.duration(to: .now), error is SQLError)
            throw error
        }
    }

    /// Of SQLite: moves what is committed from the log into the file and empties the log, so that no earlier image of what was
    /// deleted or replaced is left in either. PostgreSQL has nothing of that kind that a client could do: it cleans its tables
    /// by itself.
    ///
    /// - Returns: false when somebody read, or wrote, all the time: then the log is as it was.
    package func emptyLog() async throws -> Bool { try await driver.emptyLog() }

    /// Finishes what is queued, refuses what comes later, closes the files.
    package func close() async {
        await driver.close()
    }
}

extension Database {
    /// Bounds of one database.
    package struct Options: Sendable {
        /// Connections, each with its thread, that read beside the writer.
        package var readers = 4
        /// Waiting pieces of work per queue; more are refused.
        package var queueLimit = 4096
        /// Transactions that may share one commit.
        package var batchLimit = 128
        /// How long to wait for another process's lock.
        package var busyTimeout: Duration = .seconds(5)
        /// How long one body may run.
        package var bodyTimeout: Duration = .seconds(30)
        /// Compiled statements kept per connection.
        package var statementCacheLimit = 256
        /// Of SQLite: whether a file that is not there is made. Otherwise that is an error of kind `.unavailable`.
        package var mayCreate = true
        /// Nil when nobody wants to know.
        package var observer: Observer?

        package init() {}
    }
}

extension String {
    func dropping(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
