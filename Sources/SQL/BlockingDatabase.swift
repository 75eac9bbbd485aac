internal import Synchronization

/// A database for a thread that may wait: one connection, on which statements and transactions block their caller.
///
/// `Database` serves callers that must not wait, with threads and queues of its own and `async` methods. A thread that owns
/// all I/O of its part of a process needs none of that, and a SYNC service may have none of it. Bodies keep the rules of
/// `Database`: they have no effect besides their statements, since they may be run again.
///
/// Nothing is opened before the first use, and what is lost is opened anew by the next one.
// Unchecked: the connection is used under `lock` alone, by one thread at a time, as libpq and SQLite ask of connections
// without a lock of their own.
package final class BlockingDatabase: @unchecked Sendable {
    private let lock = Mutex(())
    private let driver: any BlockingDriver

    /// - Parameters:
    ///   - url: `sqlite:<path>`, or `postgres://user:password@host:5432/name?schema=auth`.
    ///   - patience: How long a transaction, and the opening of a connection, may take.
    /// - Throws: `SQLError` of kind `.unsupported`, without the password.
    package init(url: String, patience: Duration = .seconds(5)) throws {
        var options = Database.Options()
        options.bodyTimeout = patience
        options.busyTimeout = patience
        if let path = url.dropping(prefix: "sqlite:") {
            guard !path.isEmpty, path != ":memory:" else {
                throw SQLError(.unsupported, "the database URL must name a file: sqlite:<path>")
            }
            driver = BlockingSQLite(path: path, options: options)
        } else if url.hasPrefix("postgres:") || url.hasPrefix("postgresql:") {
            driver = BlockingPostgres(try PostgresAddress(url), options: options)
        } else {
            throw SQLError(.unsupported, "the database URL must be sqlite:<path> or postgres://...")
        }
    }

    /// Reads from one committed snapshot.
    ///
    /// - Throws: what the body throws; `SQLError`.
    package func read<T: Sendable>(_ body: (borrowing Connection) throws -> T) throws -> T {
        try lock.withLock { _ in try driver.run(.read) { try body(Connection($0)) } }
    }

    /// Runs a transaction and returns when it is durable. A body that throws changes nothing.
    ///
    /// - Throws: what the body throws; `SQLError`, of kind `.unknownOutcome` when the connection was lost while the commit
    ///   was under way.
    package func write<T: Sendable>(
        isolation: Isolation = .serializable, _ body: (borrowing Transaction) throws -> T
    ) throws -> T {
        try lock.withLock { _ in try driver.run(.write(isolation)) { try body(Transaction($0)) } }
    }

    /// As `Database.migrate` does it.
    @discardableResult
    package func migrate(_ migrations: [Migration]) throws -> [Int] {
        try lock.withLock { _ in
            try driver.run(.migration) { try Migration.bringUp(Transaction($0), migrations) }
        }
    }

    /// Closes the connection. The next use opens one again.
    package func close() { lock.withLock { _ in driver.close() } }
}

enum BlockingMode {
    case read
    case write(Isolation)
    case migration
}

/// One engine behind `BlockingDatabase`.
protocol BlockingDriver: AnyObject {
    func run<T: Sendable>(_ mode: BlockingMode, _ body: (any Session) throws -> T) throws -> T
    func close()
}

// MARK: SQLite
private final class BlockingSQLite: BlockingDriver {
    private let path: String
    private let options: Database.Options
    private let counters = Counters()
    private var connection: SQLiteConnection?

    init(path: String, options: Database.Options) {
        self.path = path
        self.options = options
    }

    func run<T: Sendable>(_ mode: BlockingMode, _ body: (any Session) throws -> T) throws -> T {
        let connection = try opened()
        try connection.script(isRead(mode) ? "BEGIN" : "BEGIN IMMEDIATE")
        do {
            let value = try connection.limited(to: options.bodyTimeout, deadline: nil) { try body(connection) }
            try connection.checkDeferredForeignKeys()
            try connection.script("COMMIT")
            return value
        } catch {
            if connection.isInTransaction { try? connection.script("ROLLBACK") }
            throw error
        }
    }

    func close() { connection = nil }

    private func opened() throws -> SQLiteConnection {
        if let connection { return connection }
        let opened = try SQLiteConnection(path: path, readOnly: false, options: options, counters: counters)
        connection = opened
        return opened
    }

    private func isRead(_ mode: BlockingMode) -> Bool { if case .read = mode { true } else { false } }
}

// MARK: PostgreSQL
private final class BlockingPostgres: BlockingDriver {
    private struct Line {
        let connection: PostgresConnection
        let session: PostgresSession
    }

    private let address: PostgresAddress
    private let options: Database.Options
    private let counters = Counters()
    private var line: Line?

    init(_ address: PostgresAddress, options: Database.Options) {
        self.address = address
        self.options = options
    }

    func close() { line = nil }

    /// Runs a body, again where its failure was not its own.
    func run<T: Sendable>(_ mode: BlockingMode, _ body: (any Session) throws -> T) throws -> T {
        var attempt = 1
        while true {
            let isFresh = line == nil
            let line = try connected()
            do {
                return try once(mode, attempt, line.session, body)
            } catch {
                if line.connection.isBroken { self.line = nil }
                guard isWorthAnother(error, line, isFresh: isFresh, attempt) else { throw error }
                attempt += 1
            }
        }
    }

    private func isWorthAnother(_ error: any Error, _ line: Line, isFresh: Bool, _ attempt: Int) -> Bool {
        if let known = error as? SQLError, case .unknownOutcome = known.kind { return false }
        switch line.connection.isBroken ? .connection : line.session.failure?.retry ?? .no {
        case .no: return false
        case .conflict:
            pause(attempt, line.connection.wakeup)
            return attempt < PostgresWork.attempts
        case .statements:
            line.session.forgetStatements()
            return attempt < 3
        case .connection:
            // The server may have been restarted while the connection lay idle. One that was opened just now tells the truth.
            self.line = nil
            return !isFresh
        }
    }

    /// Grows with each attempt, and differs, so that those who met once do not meet again.
    private func pause(_ attempt: Int, _ wakeup: Wakeup) {
        let end = ContinuousClock.now + .microseconds(Int.random(in: 0...(500 << min(attempt, 6))))
        while wakeup.wait(for: -1, until: end) != .time {}
    }

    private func once<T: Sendable>(
        _ mode: BlockingMode, _ attempt: Int, _ session: PostgresSession, _ body: (any Session) throws -> T
    ) throws -> T {
        let work = PostgresWork.plan(mode.postgres(schema: address.schema), attempt: attempt, lock: PostgresDriver.lock(of: address.schema))
        session.begin(work.opening, after: work.before, Patience(until: .now + limit(mode)))
        do {
            let value = try body(session)
            try session.rethrow()
            guard !mode.isRead else {
                session.abandon()
                return value
            }
            try session.commit(then: work.closing, Patience(until: .now + options.bodyTimeout))
            return value
        } catch {
            session.abandon(then: session.isInTransaction ? work.closing : [])
            throw error
        }
    }

    /// A migration may wait for another process that migrates.
    private func limit(_ mode: BlockingMode) -> Duration {
        if case .migration = mode { .seconds(3600) } else { options.bodyTimeout }
    }

    private func connected() throws -> Line {
        if let line { return line }
        let connection = try PostgresConnection(
            PostgresPool.parameters(address, options), wakeup: try Wakeup(), until: .now + options.bodyTimeout)
        let opened = Line(
            connection: connection, session: PostgresSession(connection, options: options, counters: counters))
        line = opened
        return opened
    }
}

extension BlockingMode {
    fileprivate var isRead: Bool { if case .read = self { true } else { false } }

    fileprivate func postgres(schema: String) -> PostgresWork.Mode {
        switch self {
        case .read: .read
        case .write(let isolation): .write(isolation)
        case .migration: .migration(schema: schema)
        }
    }
}
