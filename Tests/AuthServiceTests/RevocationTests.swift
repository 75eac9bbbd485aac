import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct RevocationTests {
    private func watch(
        _ fixture: Fixture, after sequence: Int64, wait: UInt32 = 0, handler: AuthHandler? = nil
    ) async throws -> AuthWatchRevocationsResponse {
        var request = AuthWatchRevocationsRequest()
        request.afterSequence = sequence
        request.waitMs = wait
        return try await fixture.client(handler: handler).watchRevocations(request, CallOptions(timeout: .seconds(30)))
    }

    private func signOut(_ fixture: Fixture, _ session: AuthSessionTokens, _ user: String) async throws {
        _ = try await fixture.client(session, user)
            .revokeCurrentSession(AuthRevokeCurrentSessionRequest(), CallOptions())
    }

    @Test func theFeedIsInOrderAndComplete() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        #expect(try await watch(fixture, after: 0).sequence == 0)
        var sessions: [AuthSessionTokens] = []
        for _ in 0..<10 { sessions.append(try await fixture.signIn()) }
        for session in sessions { try await signOut(fixture, session, user.userID) }
        let all = try await watch(fixture, after: 0)
        #expect(all.revocations.map(\.sessionID) == sessions.map(\.sessionID))
        #expect(all.sequence == 10)
        let rest = try await watch(fixture, after: 7)
        #expect(rest.revocations.map(\.sessionID) == sessions.suffix(3).map(\.sessionID))
        #expect(try await watch(fixture, after: 10).revocations.isEmpty)
        // Signing out again is no news.
        try await signOut(fixture, sessions[0], user.userID)
        #expect(try await watch(fixture, after: 10).revocations.isEmpty)
    }

    @Test func aWaiterIsWokenByTheCommit() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        async let answer = watch(fixture, after: 0, wait: 20_000)
        await fixture.clock.waitForSleeper()
        // The clock stands still: only the commit can wake the waiter.
        try await signOut(fixture, session, user.userID)
        #expect(try await answer.revocations.map(\.sessionID) == [session.sessionID])
    }

    @Test func aRevocationByAnotherProcessIsFoundWhileWaiting() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let second = try await fixture.secondProcess()
        async let answer = watch(fixture, after: 0, wait: 20_000, handler: second.handler)
        await fixture.clock.waitForSleeper()
        try await signOut(fixture, session, user.userID)
        fixture.clock.advance(by: .milliseconds(200))
        #expect(try await answer.revocations.map(\.sessionID) == [session.sessionID])
    }

    @Test func nothingNewIsAnEmptyAnswerAfterTheWait() async throws {
        let fixture = try await Fixture()
        async let answer = watch(fixture, after: 0, wait: 100)
        await fixture.clock.waitForSleeper()
        fixture.clock.advance(by: .milliseconds(100))
        #expect(try await answer.revocations.isEmpty)
    }

    @Test func aNumberFromAnotherDatabaseStartsOver() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        try await signOut(fixture, session, user.userID)
        #expect(try await watch(fixture, after: 1000).revocations.map(\.sessionID) == [session.sessionID])
    }

    @Test func entriesGoWhenNoAccessTokenCanNeedThem() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        try await signOut(fixture, session, user.userID)
        // Not by the lifetime of today: a token may have been made when it was configured longer.
        fixture.clock.advance(by: AuthPolicy.longestAccessTokenLifetime)
        try await fixture.handler.store.prune()
        #expect(try await watch(fixture, after: 0).revocations.count == 1)
        fixture.clock.advance(by: .seconds(61))
        try await fixture.handler.store.prune()
        let later = try await watch(fixture, after: 0)
        #expect(later.revocations.isEmpty && later.sequence == 1, "numbers are never used twice")
    }

    @Test func concurrentRevocationsHaveDistinctNumbersInOrder() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        var sessions: [AuthSessionTokens] = []
        for _ in 0..<30 { sessions.append(try await fixture.signIn()) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for session in sessions {
                group.addTask { try await signOut(fixture, session, user.userID) }
            }
            try await group.waitForAll()
        }
        let page = try await fixture.handler.store.revocations(after: 0)
        #expect(page.entries.map(\.sequence) == Array(1...30))
        #expect(Set(page.entries.map(\.sessionID)) == Set(sessions.map(\.sessionID)))
    }

    @Test func onlyGatewaysMayAsk() {
        #expect(AuthHandler.contract.methods.allSatisfy { $0.callers == ["gateway"] })
    }
}
