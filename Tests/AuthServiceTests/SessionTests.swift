import ContractClients
import Contracts
import RPCCore
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct SessionTests {
    @Test("ASVS 7.2.4: each sign-in is a session of its own, with tokens of its own")
    func eachSignInIsASessionOfItsOwn() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        var sessions: [AuthSessionTokens] = []
        for _ in 0..<3 { sessions.append(try await fixture.signIn(agent: "the same")) }
        #expect(Set(sessions.map(\.sessionID)).count == 3)
        #expect(Set(sessions.map(\.accessToken)).count == 3)
        #expect(Set(sessions.map(\.refreshToken)).count == 3)
    }

    @Test("ASVS 7.4.1, 7.5.2: sessions are listed and ended")
    func sessionsAreListedAndEnded() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let first = try await fixture.signIn(agent: "first")
        fixture.clock.advance(by: .seconds(1))
        let second = try await fixture.signIn(agent: "second")
        fixture.clock.advance(by: .seconds(1))
        let third = try await fixture.signIn(agent: "third")
        let client = try fixture.client(first, user.userID)
        let list = try await client.listSessions(AuthListSessionsRequest(), CallOptions()).sessions
        #expect(list.map(\.userAgent) == ["third", "second", "first"])
        #expect(list.map(\.current) == [false, false, true])
        #expect(list.allSatisfy { $0.address == "192.0.2.1" })

        var one = AuthRevokeSessionRequest()
        one.sessionID = second.sessionID
        _ = try await client.revokeSession(one, CallOptions())
        _ = try await client.revokeSession(one, CallOptions())
        #expect(try await !fixture.isLive(second.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(second.refreshToken) } == "token_expired")
        _ = try await client.revokeCurrentSession(AuthRevokeCurrentSessionRequest(), CallOptions())
        #expect(try await !fixture.isLive(first.sessionID))
        #expect(try await fixture.isLive(third.sessionID))
        _ = try await client.revokeAllSessions(AuthRevokeAllSessionsRequest(), CallOptions())
        #expect(try await !fixture.isLive(third.sessionID))
        #expect(try await fixture.audit().suffix(3) == ["session_revoked", "session_revoked", "sessions_revoked"])
    }

    @Test func anotherUsersSessionIsNotFound() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let eve = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        let eves = try await fixture.signIn("eve@example.com")
        var request = AuthRevokeSessionRequest()
        request.sessionID = session.sessionID
        #expect(
            await refusal { _ = try await fixture.client(eves, eve.userID).revokeSession(request, CallOptions()) }
                == "session_not_found")
        #expect(try await fixture.isLive(session.sessionID))
    }

    @Test func aNewUserAgentIsToldOnce() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.signIn(agent: "browser")
        _ = try await fixture.signIn(agent: "browser")
        _ = try await fixture.signIn(agent: "phone\r\nBcc: eve@example.com")
        let mails = try await fixture.mails()
        #expect(mails.map(\.template) == [.newSignIn, .newSignIn])
        #expect(Set(mails.map { $0.variables["user_agent"] }) == ["browser", "phoneBcc: eve@example.com"])
        #expect(
            mails.allSatisfy {
                $0.variables["address"] == "192.0.2.1" && $0.variables["time"] == "2027-01-15T08:00:00Z"
            })
    }

    @Test func theSessionUnusedForLongestMakesRoom() async throws {
        let fixture = try await Fixture { $0.sessionsPerUser = 2 }
        _ = try await fixture.member()
        var sessions: [AuthSessionTokens] = []
        for _ in 0..<3 {
            sessions.append(try await fixture.signIn())
            fixture.clock.advance(by: .seconds(1))
        }
        #expect(try await !fixture.isLive(sessions[0].sessionID))
        #expect(try await fixture.isLive(sessions[1].sessionID))
        #expect(try await fixture.isLive(sessions[2].sessionID))
    }

    @Test("ASVS 10.4.8: a session ends after 30 days, however often it is refreshed")
    func aSessionEndsAfterThirtyDaysHoweverOftenItIsRefreshed() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        var session = try await fixture.signIn()
        for _ in 0..<29 {
            fixture.clock.advance(by: .seconds(86_400))
            session = try await fixture.refresh(session.refreshToken)
            #expect(session.expiresIn == 900)
        }
        fixture.clock.advance(by: .seconds(86_400 - 100))
        session = try await fixture.refresh(session.refreshToken)
        #expect(session.expiresIn == 100, "an access token does not outlive its session")
        fixture.clock.advance(by: .seconds(100))
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "token_expired")
        #expect(try await !fixture.isLive(session.sessionID))
    }

    @Test func aPasswordChangedMeanwhileWins() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let credentials = try #require(try await fixture.handler.store.credentials(userID: user.userID))
        let hash = try #require(credentials.passwordHash)
        try await fixture.handler.store.changePassword(
            of: credentials.userID, from: hash, to: NewPassword(hash: .init("other"), shortOf: nil), keeping: "",
            Origin(address: "", userAgent: "", requestID: "r"))
        let late = NewSession(
            id: "ses_late", refreshToken: try OpaqueToken(.refresh), userID: credentials.userID,
            roles: credentials.roles, proof: .password(hash, rehash: nil),
            authenticatedAt: fixture.clock.now)
        await #expect(throws: AuthError.invalidCredentials) {
            try await fixture.handler.store.startSession(late, Origin(address: "", userAgent: "", requestID: "r"))
        }
        #expect(try await !fixture.isLive("ses_late"))
    }
}
