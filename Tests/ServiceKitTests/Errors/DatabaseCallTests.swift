import Contracts
import RPCCore
import SQL
import ServiceKit
import ServiceStorage
import TestSupport
import Testing

/// What a call's database knows of the call, and what its caller is told of the database.
@Suite struct DatabaseCallTests {
    private func context(_ method: MethodDescriptor, _ timeout: Duration = .seconds(5)) throws -> CallContext {
        CallContext(
            method: method, peer: try #require(PeerIdentity(service: "gateway")), deadline: .after(timeout), requestID: RequestID())
    }

    /// The error that leaves the process when a handler of `createSession` does this.
    private func told(
        _ timeout: Duration = .seconds(5), _ handler: nonisolated(nonsending) () async throws -> Void
    ) async throws -> RPCError {
        let context = try context(AuthServiceContract.createSession, timeout)
        do {
            _ = try await HandlerScope.run(context) {
                try await handler()
                return []
            }
            throw RPCError(.ok, "It did not fail.")
        } catch {
            return RPCError.outcome(of: error, in: context)
        }
    }

    @Test func theServersLimitIsTheCallsDeadlineUnlessTheWorkOutlivesTheCall() async throws {
        let store = StoreDatabase(try await Database.open(url: PostgresServer.shared.freshURL()))
        let limit: @Sendable () async throws -> Int = {
            let sql = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"
            let read = try await store.read { try $0.one(sql).get("setting", as: String.self) }
            let written = try await store.write { try $0.one(sql).get("setting", as: String.self) }
            try #require((Int(read) ?? 0) - (Int(written) ?? 0) < 2000)
            return try #require(Int(written))
        }
        var limits: [Int] = []
        for method in [AuthServiceContract.createSession, AuthServiceContract.register] {
            _ = try await HandlerScope.run(try context(method)) {
                limits.append(try await limit())
                if method.onCancel == .cancel { limits.append(try await HandlerScope.outside { Task { try await limit() } }.value) }
                return []
            }
        }
        limits.append(try await limit())
        // Of the call; of what outlives it; of a detached one; of no call at all.
        #expect(limits.count == 4 && limits[0] > 0 && limits[0] <= 5000 && Array(limits[1...]) == [30_000, 30_000, 30_000], "\(limits)")
    }

    @Test(.everyEngine) func aStatementThatOutlastsItsCallIsTheCallsDeadlineAndNoBusyDatabase() async throws {
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: Engine.current.freshURL(directory.path("test.sqlite")))
        let store = StoreDatabase(database)
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n"
        let error = try await told(.milliseconds(200)) { _ = try await store.read { try $0.query(endless) } }
        #expect(error.code == .deadlineExceeded && error.processed == .yes, "\(error)")
        await database.close()
    }

    /// `no` has a call sent again, whatever it does: so only where nothing was done.
    @Test func aDatabaseThatIsAwayHasLeftNothingUnlessSomethingWasDoneBefore() async throws {
        let server = try await PostgresServer()
        let url = server.freshURL() + "&pool_size=1&pool_overflow=0"
        let database = try await Database.open(url: url)
        let store = StoreDatabase(database)
        try await database.migrate([Migration(version: 1, name: "t", sql: "CREATE TABLE t (id BIGINT PRIMARY KEY);")])
        let write: @Sendable () async throws -> Void = {
            try await store.write { _ = try $0.execute("INSERT INTO t (id) SELECT count(*) FROM t") }
        }
        let afterWork = try await told {
            try await write()
            try await server.stop()
            try await write()
        }
        #expect(afterWork.reason == "database_unavailable" && afterWork.processed == .yes)
        let alone = try await told { try await write() }
        #expect(alone.code == .unavailable && alone.reason == "database_unavailable" && alone.processed == .no)
        #expect(try await told { try await store.read { _ = try $0.query("SELECT 1") } }.processed == .no)
        let afterCall = try await told {
            HandlerScope.current?.act()
            try await write()
        }
        #expect(afterCall.processed == .yes)
        // Shared with other calls, of which this one knows nothing.
        let outside = try await told { try await HandlerScope.outside { Task { try await write() } }.value }
        #expect(outside.reason == "database_unavailable" && outside.processed == .yes)
        try await server.start()
        await database.close()
        try await server.stop()
    }

    @Test func ofACommitThatWasLostNobodyKnows() async throws {
        let error = SQLError(.unknownOutcome, "lost").forCaller(operation: "saving", isCall: true)
        let told = RPCError.outcome(of: error, in: try context(AuthServiceContract.createSession))
        #expect(told.reason == "database_outcome_unknown" && told.processed == .maybe)
        // A SQLite file may hold what its disk refused, so that this is never said of it.
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: "sqlite:\(directory.path("test.sqlite"))")
        await database.close()
        let store = StoreDatabase(database)
        #expect(try await self.told { try await store.write { _ = try $0.execute("SELECT 1") } }.processed == .yes)
    }
}
