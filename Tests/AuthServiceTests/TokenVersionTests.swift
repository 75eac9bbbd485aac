import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// What is done after a breach: sessions end, people are not locked out.
@Suite(.everyEngine) struct TokenVersionTests {
    @discardableResult
    private func raise(
        _ fixture: Fixture, user: String? = nil, grace: UInt32 = 0
    ) async throws -> AuthRaiseTokenVersionResponse {
        var request = AuthRaiseTokenVersionRequest()
        if let user { request.userID = user } else { request.everyone = true }
        request.graceS = grace
        return try await fixture.admin().raiseTokenVersion(request, CallOptions())
    }

    @Test("ASVS 7.4.5: an admin ends everybody's sessions with one call")
    func everybodysSessionsEnd() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.member("eve@example.com")
        let sessions = [try await fixture.signIn(), try await fixture.signIn("eve@example.com")]
        #expect(try await raise(fixture).minimumVersion == 1)
        for session in sessions {
            #expect(try await !fixture.isLive(session.sessionID))
            #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "token_expired")
        }
        // At once, in the same microsecond.
        let again = try await fixture.signIn()
        #expect(try await fixture.isLive(again.sessionID))
        _ = try await fixture.refresh(again.refreshToken)
    }

    /// The source of the idea gave new sessions the version that everybody has, which was below the user's own.
    @Test func anAffectedUserSignsInAndStaysIn() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await fixture.member("eve@example.com")
        let eve = try await fixture.signIn("eve@example.com")
        for _ in 0..<3 {
            let before = try await fixture.signIn()
            try await raise(fixture, user: ada.userID)
            #expect(try await !fixture.isLive(before.sessionID))
            #expect(await refusal { _ = try await fixture.refresh(before.refreshToken) } == "token_expired")
            var again = try await fixture.signIn()
            for _ in 0..<3 {
                fixture.clock.advance(by: .seconds(600))
                again = try await fixture.refresh(again.refreshToken)
            }
            #expect(try await fixture.isLive(again.sessionID))
        }
        #expect(try await fixture.isLive(eve.sessionID), "nobody else is affected")
        #expect(try await fixture.handler.store.sessions(of: ada.userID).count == 1, "only the last is listed")
    }

    @Test func aGraceLetsOldSessionsLiveOnAndNewOnesSurvive() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let old = try await fixture.signIn()
        try await raise(fixture, user: ada.userID, grace: 300)
        let new = try await fixture.signIn()
        fixture.clock.advance(by: .seconds(299))
        let refreshed = try await fixture.refresh(old.refreshToken)
        #expect(try await fixture.isLive(old.sessionID))
        fixture.clock.advance(by: .seconds(1))
        #expect(try await !fixture.isLive(old.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(refreshed.refreshToken) } == "token_expired")
        #expect(try await fixture.isLive(new.sessionID))
        _ = try await fixture.refresh(new.refreshToken)
    }

    @Test func theFeedTellsGatewaysWithOneEntry() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        for _ in 0..<5 { _ = try await fixture.signIn() }
        let raisedAt = fixture.clock.now
        try await raise(fixture, user: ada.userID, grace: 300)
        try await raise(fixture)
        let answer = try await fixture.client().watchRevocations(AuthWatchRevocationsRequest(), CallOptions())
        try #require(answer.revocations.count == 2)
        #expect(answer.revocations.allSatisfy { $0.sessionID.isEmpty && $0.revokedAt == raisedAt.message })
        #expect(answer.revocations.map(\.userID) == [ada.userID, ""])
        #expect(answer.revocations.map(\.everyone) == [false, true])
        #expect(answer.revocations[0].effectiveAt == (raisedAt + .seconds(300)).message)
        // The entry of a raise with a grace stays as long as tokens from before its end live.
        fixture.clock.advance(by: AuthPolicy.longestAccessTokenLifetime + .seconds(61))
        try await fixture.handler.store.prune()
        #expect(try await fixture.handler.store.revocations(after: 0).entries.map(\.userID) == [ada.userID])
        fixture.clock.advance(by: .seconds(300))
        try await fixture.handler.store.prune()
        #expect(try await fixture.handler.store.revocations(after: 0).entries.isEmpty)
    }

    @Test func aWaitingGatewayIsWoken() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        var request = AuthWatchRevocationsRequest()
        request.waitMs = 20_000
        async let answer = fixture.client().watchRevocations(request, CallOptions(timeout: .seconds(30)))
        await fixture.clock.waitForSleeper()
        try await raise(fixture, user: ada.userID)
        #expect(try await answer.revocations.map(\.userID) == [ada.userID])
    }

    /// Whoever signs in or refreshes at the moment of a raise is on one side of it.
    @Test func noSessionSlipsThrough() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        let ada = try await fixture.member()
        // From where nobody has signed in, more than ten at once would be taken for guesses.
        _ = try await fixture.signIn(from: "")
        let sessions = try await withThrowingTaskGroup(of: String?.self) { group in
            for index in 0..<20 {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    var request = AuthCreateSessionRequest()
                    request.email = "ada@example.com"
                    request.password = Fixture.password
                    return try await fixture.client(handler: handler).createSession(request, CallOptions()).sessionID
                }
                if index == 10 {
                    group.addTask {
                        try await raise(fixture, user: ada.userID)
                        return nil
                    }
                }
            }
            return try await group.reduce(into: [String]()) { if let id = $1 { $0.append(id) } }
        }
        #expect(sessions.count == 20)
        let versions = try await fixture.database.read {
            try $0.query("SELECT id, token_version FROM sessions") {
                (try $0.get("id", as: String.self), try $0.get("token_version", as: Int.self))
            }
        }
        for (id, version) in versions { #expect(try await fixture.isLive(id) == (version >= 1)) }
    }

    @Test func oneOrEverybodyAndNobodyByMistake() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        let admin = try fixture.admin()
        #expect(await refusal { _ = try await admin.raiseTokenVersion(.init(), CallOptions()) } == "invalid_request")
        var both = AuthRaiseTokenVersionRequest()
        both.userID = ada.userID
        both.everyone = true
        #expect(await refusal { _ = try await admin.raiseTokenVersion(both, CallOptions()) } == "invalid_request")
        #expect(await refusal { try await raise(fixture, user: "usr_nobody") } == "user_not_found")
        #expect(await refusal { try await raise(fixture, grace: 86_401) } == "invalid_request")
        #expect(try await fixture.isLive(session.sessionID))
    }

    @Test func aRaiseIsForgottenWhenNoSessionIsThatOld() async throws {
        let fixture = try await Fixture()
        try await raise(fixture)
        func count() async throws -> Int {
            try await fixture.database.read { try $0.one("SELECT count(*) AS n FROM minimum_versions").get("n") }
        }
        fixture.clock.advance(by: AuthPolicy.longestSessionLifetime)
        try await fixture.handler.store.prune()
        #expect(try await count() == 1)
        fixture.clock.advance(by: .seconds(1))
        try await fixture.handler.store.prune()
        #expect(try await count() == 0)
        #expect(try await raise(fixture).minimumVersion == 2, "numbers are never used twice")
    }
}
