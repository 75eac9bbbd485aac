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

    /// The server's process behind a pool of one connection.
    private func backend(of database: Database) async throws -> Int {
        try await database.read { try $0.one("SELECT CAST(pg_backend_pid() AS BIGINT) AS pid").get("pid", as: Int.self) }
    }

    private func isAsleep(_ pid: Int, seenBy watcher: Database) async throws -> Bool {
        try await watcher.read {
            try $0.first(
                "SELECT 1 AS a FROM pg_stat_activity WHERE pid = :pid AND state = 'active' AND wait_event = 'PgSleep'", ["pid": pid]) != nil
        }
    }

    /// Cancels `sleeper` when the server is asleep in it.
    ///
    /// - Returns: whether the connection is the same, and nobody sleeps there any more.
    private func cancel(_ sleeper: Task<Int, any Error>, on database: Database, _ pid: Int) async throws -> Bool {
        let watcher = try await open()
        try await until { try await isAsleep(pid, seenBy: watcher) }
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        let isOver = try await !isAsleep(pid, seenBy: watcher)
        await watcher.close()
        return try await backend(of: database) == pid && isOver
    }

    @Test(.timeLimit(.minutes(1))) func aCancelledCallStopsItsStatementInTheServerAndKeepsItsConnection() async throws {
        let database = try await open("&pool_size=1&pool_overflow=0")
        let pid = try await backend(of: database)
        let sleeper = Task { try await database.read { try $0.query("SELECT pg_sleep(600)").count } }
        #expect(try await cancel(sleeper, on: database, pid))
    }

    @Test(.timeLimit(.minutes(1))) func aCancelledWriteStopsInTheServerAndChangesNothing() async throws {
        let database = try await openWithItems("&pool_size=1&pool_overflow=0")
        let pid = try await backend(of: database)
        let sleeper = Task {
            try await database.write { transaction in
                try transaction.insert(1)
                return try transaction.query("SELECT pg_sleep(600)").count
            }
        }
        #expect(try await cancel(sleeper, on: database, pid))
        #expect(try await database.count() == 0)
    }

    /// A cancellation that comes before the statement is sent.
    @Test func aCallCancelledBetweenStatementsSendsNoMore() async throws {
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
        // A wrong password is refused, and the error does not hold it.
        let error = await #expect(throws: SQLError.self) {
            _ = try await Database.open(url: server.networkURL(password: "wrong-one"))
        }
        #expect(error?.kind == .unavailable && error.map { "\($0)".contains("wrong-one") } == false)
    }

    private func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl", "req", "-x509", "-days", "2"] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    @Test func anotherAuthorityAndAnotherNameAreRefused() async throws {
        let server = try await PostgresServer()
        let folder = try TemporaryDirectory()
        func refusal(root: String) async -> String {
            let url = server.networkURL(options: "sslmode=verify-full&sslrootcert=\(root)")
            let error = await #expect(throws: SQLError.self) { _ = try await Database.open(url: url) }
            #expect(error?.kind == .unavailable)
            return error?.message ?? ""
        }
        // Of the same name, by somebody else.
        try openssl(
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder.path("key"), "-out", folder.path("stranger.crt"))
        let stranger = await refusal(root: folder.path("stranger.crt"))
        #expect(stranger.contains("certificate verify failed"), "\(stranger)")
        // By whom it should be, and of another name.
        try await server.stop()
        let certificate = "\(server.folder)/data/server.crt"
        try openssl(
            "-key", "\(server.folder)/data/server.key", "-subj", "/CN=elsewhere.example", "-addext",
            "subjectAltName=DNS:elsewhere.example", "-out", certificate)
        try await server.start()
        let misnamed = await refusal(root: certificate)
        #expect(misnamed.contains("elsewhere.example") && misnamed.contains("does not match"), "\(misnamed)")
        try await server.stop()
    }

    /// As a bank has it: somebody else makes the schema, and the role may nothing beside.
    @Test func aRoleThatOwnsItsSchemaAloneNeedsNoRightOnTheDatabase() async throws {
        let server = try await PostgresServer()
        let owner = try await Database.open(url: server.url(schema: "public"))
        try await owner.write { transaction in
            try transaction.execute("CREATE ROLE plain LOGIN")
            try transaction.execute("CREATE SCHEMA given AUTHORIZATION plain")
        }
        let mayCreate = try await owner.read {
            try $0.one("SELECT has_database_privilege('plain', 'postgres', 'CREATE') AS may").get("may", as: Bool.self)
        }
        #expect(!mayCreate)
        let url = server.url(schema: "given").replacing("postgres://postgres@", with: "postgres://plain@")
        let database = try await Database.open(url: url)
        #expect(try await database.migrate([.items]) == [1])
        #expect(try await database.migrate([.items]) == [])
        try await database.insert(1)
        let blocking = try BlockingDatabase(url: url)
        #expect(try blocking.migrate([.items]) == [])
        blocking.close()
        // Where there is none yet, it is the database's owner who may make it.
        let missing = try await Database.open(url: url.replacing("schema=given", with: "schema=missing"))
        let error = await #expect(throws: SQLError.self) { try await missing.migrate([.items]) }
        #expect(error?.message.contains("permission denied for database") == true)
        for database in [owner, database, missing] { await database.close() }
        try await server.stop()
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
