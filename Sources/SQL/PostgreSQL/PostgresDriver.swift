/// PostgreSQL behind `Database`.
///
/// **Why threads.** Bodies are synchronous (see `Database`), and a statement is a round trip: so somebody has to wait. A
/// connection serves one transaction at a time, so a thread for each connection, parked in `poll`, costs a stack and a
/// switch of threads for each statement, and nothing else; all stores stay as they are. Sessions with `async` statements
/// would save the stacks of some dozen threads, and would let bodies await other things while they hold locks.
///
/// **Where round trips go.** libpq is in pipeline mode: what opens a transaction (and prepares a statement, and sets the
/// server's own limit) travels with the first statement, the end of a read and a rollback are not waited for. A
/// transaction of n statements takes n + 1 round trips, a read of n takes n.
///
/// **Isolation.** Writes are SERIALIZABLE and are run again when others came first, at first after a pause, then one after
/// the other under a lock. Reads see one snapshot.
final class PostgresDriver: Driver {
    private let pool: PostgresPool
    private let schema: String

    private init(_ address: PostgresAddress, options: Database.Options) {
        pool = PostgresPool(address, options: options)
        schema = address.schema
    }

    deinit { pool.shut() }

    /// - Throws: `SQLError` of kind `.unavailable` when the server cannot be reached now, `.unsupported` for a bad URL.
    static func open(url: String, options: Database.Options) async throws -> PostgresDriver {
        let driver = PostgresDriver(try PostgresAddress(url), options: options)
        do {
            try await driver.read(deadline: nil) { _ in }
        } catch {
            await driver.close()
            throw error
        }
        return driver
    }

    var statistics: Statistics { pool.counters.snapshot }
    var backlog: Backlog { pool.backlog }

    func read<T: Sendable>(
        deadline: ContinuousClock.Instant?, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        try await run(.read, deadline, body)
    }

    func write<T: Sendable>(
        deadline: ContinuousClock.Instant?, isolation: Isolation, _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        do {
            return try await run(.write(isolation), deadline, body)
        } catch let error as SQLError where error.kind != .unknownOutcome {
            throw error.undone()
        }
    }

    func migrate<T: Sendable>(_ body: @escaping @Sendable (any Session) throws -> T) async throws -> T {
        try await run(.migration(schema: schema), nil, body)
    }

    func emptyLog() async throws -> Bool { true }

    func close() async { await pool.close() }

    private func run<T: Sendable>(
        _ mode: PostgresWork.Mode, _ deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable (any Session) throws -> T
    ) async throws -> T {
        let work = PendingWork(deadline: deadline, body: body)
        let lock = Self.lock(of: schema)
        return try await work.result(waitLimit: pool.waitLimit) { [pool] item in
            let refusal = pool.offer(PostgresWork(item: item, mode: mode, lock: lock))
            if refusal != nil { pool.counters.refusals.add(1, ordering: .relaxed) }
            return refusal
        }
    }

    /// The same number in every process that uses the schema; even, since the next one is the migrations'.
    static func lock(of schema: String) -> Int64 {
        Migration(version: 0, name: "", sql: "lockstep \(schema)").checksum & ~1
    }
}
