import RPCCore
import SQL
import ServiceKit
import ServiceStorage
import TestSupport
import Testing

/// What is wrong behind a service is not its caller's fault, and not its caller's business.
@Suite struct DownstreamErrorTests {
    @Test(arguments: [
        (StatusCode.permissionDenied, StatusCode.internal), (.notFound, .internal), (.invalidArgument, .internal),
        (.unauthenticated, .internal), (.failedPrecondition, .internal), (.unimplemented, .internal),
        (.internal, .internal), (.dataLoss, .internal), (.unknown, .internal),
        (.unavailable, .unavailable), (.aborted, .unavailable), (.resourceExhausted, .unavailable),
        (.deadlineExceeded, .deadlineExceeded),
    ])
    func aServicesRefusalIsOurFailure(theirs: StatusCode, ours: StatusCode) async throws {
        let error = try #require(
            await #expect(throws: DownstreamError.self) {
                try await calling(.encryption) { () async throws(RPCError) in
                    throw RPCError(theirs, "planted text about encryption", reason: "planted")
                }
            })
        let told = RPCError.fromHandler(error)
        #expect(told.code == ours && told.message.hasSuffix("."))
        for text in [told.message, told.reason] { #expect(!text.contains("planted") && !text.contains("encryption")) }
        #expect((told.retryAfter != nil) == (ours != .internal))
        #expect(error.logLine.contains("encryption") && error.logLine.contains("planted text"))
    }

    @Test func onlyThisSidesCancellationIsOne() async throws {
        let call: @Sendable () async throws -> Void = {
            try await calling(.encryption) { () async throws(RPCError) in throw RPCError(.cancelled, "Cancelled.") }
        }
        let error = await #expect(throws: DownstreamError.self) { try await call() }
        #expect(error.map { RPCError.fromHandler($0).code } == .unavailable)
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await call()
        }
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }

    @Test(arguments: [
        (SQLError.Kind.busy, StatusCode.unavailable), (.refused, .unavailable), (.timeout, .unavailable),
        (.closed, .unavailable), (.full, .unavailable), (.unavailable, .unavailable), (.corrupt, .dataLoss),
        (.constraint(.unique(["users.email"])), .internal), (.noRow, .internal), (.other(code: 1), .internal),
    ])
    func theDatabasesTroubleNamesNoTable(kind: SQLError.Kind, code: StatusCode) {
        let error = SQLError(kind, "planted.column").forCaller(operation: "saving")
        let told = RPCError.fromHandler(error)
        #expect(told.code == code && !told.message.contains("planted"))
        #expect(error.logLine.contains("planted.column"))
    }

    @Test func aStoreSeesItsOwnErrorsAndNoSQL() async throws {
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: "sqlite:\(directory.path("test.sqlite"))")
        let store = StoreDatabase(database)
        await #expect(throws: OwnError.self) { try await store.write { _ in throw OwnError() } }
        await #expect(throws: DownstreamError.self) {
            try await store.read { _ = try $0.first("SELECT nothing FROM nowhere") }
        }
        await database.close()
        let closed = await #expect(throws: DatabaseError.self) {
            try await store.write { _ = try $0.execute("SELECT 1") }
        }
        #expect(closed?.kind == .unavailable)
    }

    private struct OwnError: Error {}
}
