import Foundation
import SQL
import Synchronization
import TestSupport
import Testing

/// What PostgreSQL alone does: retries, cancellation, limits in the server, TLS, connections that go.
@Suite struct PostgresTests {
    private func open(
        _ options: String = "", _ change: (inout Database.Options) -> Void = { _ in }
    ) async throws -> Database {
        var settings = Database.Options()
        change(&settings)
        return try await Database.open(url: PostgresServer.shared.freshURL() + options, options: settings)
    }

    private func openWithItems(_ options: String = "") async throws -> Database {
        let database = try await open(options)
        try await database.migrate([.items])
        return database
    }

    /// Everybody reads the count and inserts one more: nobody may see another's count.
    @Test func transactionsAreSerialHoweverTheyMeet() async throws {
        let database = try await openWithItems()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<40 {
                group.addTask {
                    try await database.write { transaction in
                        let count: Int = try transaction.one("SELECT count(*) AS n FROM items").get("n")
                        try transaction.insert(count)
                    }
                }
            }
            try await group.waitForAll()
        }
        let ids = try await database.read { try $0.query("SELECT id FROM items ORDER BY id") { try $0.get("id", as: Int.self) } }
        #expect(ids == Array(0..<40))
    }

    @Test func aCancelledCallStopsItsStatement() async throws {
        let database = try await open("&pool_size=1&pool_overflow=0")
        let gate = Gate()
        let task = Task {
            try await database.read { connection in
                _ = try connection.query("SELECT 1 AS a")
                gate.hold()
                return try connection.query("SELECT pg_sleep(600)").count
            }
        }
        await gate.waitUntilHeld()
        gate.open()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // The one connection is fit for use again.
        #expect(try await database.read { try $0.one("SELECT 1 AS a").get("a", as: Int.self) } == 1)
    }

    @Test func aCancelledWriteChangesNothing() async throws {
        let database = try await openWithItems()
        let gate = Gate()
        let task = Task {
            try await database.write { transaction in
                try transaction.insert(1)
                gate.hold()
                _ = try transaction.query("SELECT pg_sleep(600)")
            }
        }
        await gate.waitUntilHeld()
        task.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await database.count() == 0)
    }

    /// Should this process not live to ask for it.
    @Test func theServerKnowsTheDeadline() async throws {
        let database = try await open()
        func limit(_ deadline: ContinuousClock.Instant?) async throws -> Int {
            let text = try await database.read(deadline: deadline) {
                try $0.one("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'").get("setting", as: String.self)
            }
            return try #require(Int(text))
        }
        #expect(try await limit(nil) == 30_000)
        #expect(try await (1...20_000).contains(limit(.now + .seconds(20))))
        #expect(try await limit(nil) == 30_000)
    }

    @Test func aConnectionThatWasKilledIsReplacedAndTheWorkRunAgain() async throws {
        let database = try await openWithItems("&pool_size=1&pool_overflow=0")
        let attempts = Mutex(0)
        let other = try await open()
        try await database.write { transaction in
            try transaction.insert(1)
            guard attempts.withLock({ $0 += 1; return $0 }) == 1 else { return }
            _ = try transaction.query("SELECT pg_terminate_backend(pg_backend_pid())")
        }
        #expect(attempts.withLock { $0 } == 2)
        #expect(try await database.count() == 1)
        await other.close()
    }

    @Test func anErrorThatABodyForgetsStillEndsItsTransaction() async throws {
        let database = try await openWithItems()
        let kind = await failure {
            try await database.write { transaction in
                try transaction.insert(1)
                _ = try? transaction.insert(1)
            }
        }
        #expect(kind == .constraint(.primaryKey(["items.id"])))
        #expect(try await database.count() == 0)
    }

    @Test func statementsSurviveAChangeOfTheirTable() async throws {
        let database = try await openWithItems()
        try await database.insert(1)
        let sql = "SELECT * FROM items"
        _ = try await database.read { try $0.query(sql) }
        try await database.write { _ = try $0.execute("ALTER TABLE items ADD COLUMN extra BIGINT") }
        #expect(try await database.read { try $0.query(sql).count } == 1)
    }

    @Test func passwordsAndTLSWorkAndTheServerIsKnown() async throws {
        let server = try await PostgresServer.shared
        let root = "\(server.folder)/server.crt"
        let url = server.networkURL(options: "sslmode=verify-full&sslrootcert=\(root)")
        let database = try await Database.open(url: url)
        let isEncrypted = try await database.read {
            try $0.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").get("ssl", as: Bool.self)
        }
        #expect(isEncrypted)
        await database.close()
        // Another's certificate is refused, and so is a wrong password, which the error does not hold.
        for url in [
            server.networkURL(options: "sslmode=verify-full&sslrootcert=/dev/null"), server.networkURL(password: "wrong-one"),
        ] {
            let error = await #expect(throws: SQLError.self) { _ = try await Database.open(url: url) }
            #expect(error?.kind == .unavailable)
            #expect(error.map { "\($0)".contains("wrong-one") } == false)
        }
    }

    @Test func burstsUseTheOverflowAndTheRestWaits() async throws {
        let database = try await open("&pool_size=1&pool_overflow=1")
        let gate = Gate()
        let held = (0..<2).map { _ in Task { try await database.read { _ in gate.hold() } } }
        await gate.waitUntilHeld()
        await gate.waitUntilHeld()
        let waiting = Task { try await database.read { try $0.one("SELECT 1 AS a").get("a", as: Int.self) } }
        while database.backlog.reads == 0 { await Task.yield() }
        gate.open()
        #expect(try await waiting.value == 1)
        gate.open()
        for task in held { try await task.value }
    }
}
