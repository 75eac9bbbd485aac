internal import CSQLite
internal import Glibc
internal import Synchronization

/// One connection to a SQLite file. Made, used and closed on one thread.
final class SQLiteConnection: Session {
    private let database: OpaquePointer
    private let counters: Counters
    private let cacheLimit: Int
    private let interruptAt: UnsafeMutablePointer<Int64>
    private var cache: [String: SQLiteStatement] = [:]
    private var uses = 0

    /// - Throws: `SQLError` of kind `.unavailable` or `.corrupt`, naming the path.
    init(path: String, readOnly: Bool, options: Database.Options, counters: Counters) throws {
        if options.mayCreate { try Self.createPrivately(path) }
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
            | (options.mayCreate ? SQLITE_OPEN_CREATE : 0)
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            defer { sqlite3_close_v2(opened) }
            throw SQLError.last(on: opened, code: code, doing: "opening \(path)")
        }
        self.database = opened
        self.counters = counters
        self.cacheLimit = options.statementCacheLimit
        self.interruptAt = .allocate(capacity: 1)
        interruptAt.initialize(to: .max)
        sqlite3_busy_timeout(opened, Int32(clamping: options.busyTimeout.milliseconds))
        sqlite3_progress_handler(
            opened, Self.stepsBetweenChecks,
            { context in
                guard let limit = context?.assumingMemoryBound(to: Int64.self).pointee else { return 0 }
                return limit != .max && monotonicNanoseconds() > limit ? 1 : 0
            }, interruptAt)
        try settle(readOnly, within: options.busyTimeout)
    }

    /// The last process that closes a database takes its log away, and whoever opens it at that moment is told "locked" at once:
    /// SQLite does not ask the busy handler there.
    private func settle(_ readOnly: Bool, within patience: Duration) throws {
        let end = ContinuousClock.now.advanced(by: patience)
        while true {
            do {
                return try script(Self.settings + (readOnly ? "PRAGMA query_only = ON;" : ""))
            } catch let error as SQLError where error.kind == .busy && ContinuousClock.now < end {
                // SQLite tells nobody when a lock goes. The thread is this connection's own.
                usleep(2000)
            }
        }
    }

    deinit {
        cache.removeAll()
        sqlite3_close_v2(database)
        interruptAt.deallocate()
    }

    /// WAL: readers beside the writer. FULL: an acknowledged commit survives power loss. secure_delete: what is deleted
    /// is overwritten, because rows hold hashes and addresses.
    private static let settings = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON;
        PRAGMA secure_delete = ON;
        PRAGMA trusted_schema = OFF;
        PRAGMA temp_store = MEMORY;
        """

    /// How many steps of SQLite's virtual machine pass between looks at the clock: some tens of microseconds.
    private static let stepsBetweenChecks: Int32 = 4000

    /// SQLite would create the file readable by all; it holds personal data. WAL files take the same mode.
    ///
    /// A file that is there is not even opened: to close it would end all locks that this process's other connections
    /// hold on it (POSIX), and other processes would take the database for unused.
    private static func createPrivately(_ path: String) throws {
        let file = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            if errno == EEXIST { return }
            throw SQLError(.unavailable, "cannot open database \(path): \(String(cString: strerror(errno)))")
        }
        close(file)
    }

    // MARK: Session

    var dialect: Dialect { .sqlite }

    /// The writer is alone.
    var lockingRows: String { "" }

    func query(_ sql: String, _ parameters: Parameters, limit: Int) throws -> [Row] {
        try statement(sql).rows(parameters, limit: limit)
    }

    func execute(_ sql: String, _ parameters: Parameters) throws -> Int {
        let before = sqlite3_total_changes64(database)
        try statement(sql).run(parameters)
        let all = sqlite3_total_changes64(database) - before
        // total_changes counts cascades as well; changes is the statement's own, and stale when nothing changed.
        return all == 0 ? 0 : Int(sqlite3_changes64(database))
    }

    func insert(into table: String, columns: [String], rows: [[Value]], unlessKnownBy key: String?) throws -> Int {
        let sql = "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES ("
            + columns.map { ":\($0)" }.joined(separator: ", ") + ")"
            + (key.map { " ON CONFLICT (\($0)) DO NOTHING" } ?? "")
        return try rows.reduce(0) { try $0 + execute(sql, Parameters(columns: columns, $1)) }
    }

    func script(_ sql: String) throws {
        let code = sqlite3_exec(database, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLError.last(on: database, code: code, doing: "running a script") }
    }

    private func statement(_ sql: String) throws -> SQLiteStatement {
        counters.statements.add(1, ordering: .relaxed)
        uses += 1
        if let cached = cache[sql] {
            cached.lastUse = uses
            return cached
        }
        counters.prepared.add(1, ordering: .relaxed)
        let statement = try SQLiteStatement(sql, on: database)
        if cache.count >= cacheLimit, let oldest = cache.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            cache.removeValue(forKey: oldest.key)
        }
        statement.lastUse = uses
        cache[sql] = statement
        return statement
    }

    // MARK: Transactions

    /// Some errors (full disk, interrupt, I/O) make SQLite roll back the whole transaction on its own.
    var isInTransaction: Bool { sqlite3_get_autocommit(database) == 0 }

    /// A deferred foreign key that is still open would fail at COMMIT, with the neighbours: it is the body's fault.
    func checkDeferredForeignKeys() throws {
        var current: Int32 = 0
        var highest: Int32 = 0
        sqlite3_db_status(database, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0)
        if current != 0 { throw SQLError(.constraint(.foreignKey), "FOREIGN KEY constraint failed (deferred)") }
    }

    /// Runs a body that is interrupted when it takes longer than `limit` or passes `deadline`.
    func limited<T>(to limit: Duration, deadline: ContinuousClock.Instant?, _ body: () throws -> T) rethrows -> T {
        let rest = deadline.map { min(ContinuousClock.now.duration(to: $0), limit) } ?? limit
        interruptAt.pointee = monotonicNanoseconds() + max(0, rest.nanoseconds)
        defer { interruptAt.pointee = .max }
        return try body()
    }
}

/// Shared by a database's connections; read by `Database.statistics`.
final class Counters: Sendable {
    let transactions = Atomic<Int>(0)
    let commits = Atomic<Int>(0)
    let rollbacks = Atomic<Int>(0)
    let reads = Atomic<Int>(0)
    let statements = Atomic<Int>(0)
    let prepared = Atomic<Int>(0)
    let refusals = Atomic<Int>(0)

    var snapshot: Statistics {
        var statistics = Statistics()
        statistics.transactions = transactions.load(ordering: .relaxed)
        statistics.commits = commits.load(ordering: .relaxed)
        statistics.rollbacks = rollbacks.load(ordering: .relaxed)
        statistics.reads = reads.load(ordering: .relaxed)
        statistics.statements = statements.load(ordering: .relaxed)
        statistics.prepared = prepared.load(ordering: .relaxed)
        statistics.refusals = refusals.load(ordering: .relaxed)
        return statistics
    }
}

private func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

extension Duration {
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue + attoseconds / 1_000_000_000
    }

    var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
