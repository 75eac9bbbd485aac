import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// How many sessions there may be, and how long one lasts that nobody uses.
@Suite(.everyEngine) struct TierTests {
    private func setTier(_ fixture: Fixture, _ user: String, _ tier: String) async throws -> AuthAccount {
        var request = AuthSetTierRequest()
        request.userID = user
        request.tier = tier
        return try await fixture.admin().setTier(request, CallOptions())
    }

    @Test(
        "ASVS 7.1.2: a tier bounds the sessions; the one unused for longest makes room",
        arguments: [("basic", 2), ("essential", 3), ("plus", 5), ("premium", 10), ("pro", 13), ("", 13)])
    func tiersBoundSessions(tier: String, expected: Int) async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        #expect(try await setTier(fixture, user.userID, tier).tier == tier)
        var sessions: [AuthSessionTokens] = []
        for _ in 0..<12 {
            sessions.append(try await fixture.signIn())
            fixture.clock.advance(by: .seconds(1))
        }
        // Used again, so not the next to go.
        let kept = sessions[12 - min(expected, 12)]
        _ = try await fixture.refresh(kept.refreshToken)
        fixture.clock.advance(by: .seconds(1))
        sessions.append(try await fixture.signIn())
        let live = try await fixture.handler.store.sessions(of: user.userID).map(\.id)
        #expect(live.count == expected)
        #expect(live.contains(kept.sessionID) && live.first == sessions[12].sessionID)
        let ended = Set(try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID))
        #expect(ended.count == 13 - expected && ended.isDisjoint(with: live), "gateways are told")
    }

    @Test func aLowerTierEndsWhatIsTooManyAtOnce() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        for _ in 0..<4 {
            _ = try await fixture.signIn()
            fixture.clock.advance(by: .seconds(1))
        }
        #expect(try await setTier(fixture, user.userID, "pro").sessions == 4)
        #expect(try await setTier(fixture, user.userID, "basic").sessions == 2)
        #expect(await refusal { _ = try await setTier(fixture, user.userID, "gold") } == "invalid_request")
        #expect(try await fixture.audit().count { $0 == "session_evicted" } == 2)
    }

    @Test func manyAtOnceInTwoProcessesAreNoMoreThanAllowed() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        let user = try await fixture.member()
        _ = try await setTier(fixture, user.userID, "essential")
        // From where nobody has signed in, more than ten at once would be taken for guesses.
        _ = try await fixture.signIn(from: "")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    var request = AuthCreateSessionRequest()
                    request.email = "ada@example.com"
                    request.password = Fixture.password
                    _ = try await fixture.client(handler: handler).createSession(request, CallOptions())
                }
            }
            try await group.waitForAll()
        }
        #expect(try await fixture.handler.store.sessions(of: user.userID).count == 3)
    }

    @Test("ASVS 7.3.1, HIPAA 164.312(a)(2)(iii): a session that is not used ends")
    func idleSessionsEnd() async throws {
        let fixture = try await Fixture { $0.sessionIdle = .seconds(1000) }
        let user = try await fixture.member()
        let left = try await fixture.signIn()
        var used = try await fixture.signIn()
        #expect(used.expiresIn == 500, "who uses an access token refreshes it before being idle")
        fixture.clock.advance(by: .seconds(500))
        used = try await fixture.refresh(used.refreshToken)
        fixture.clock.advance(by: .seconds(499))
        #expect(try await fixture.isLive(left.sessionID))
        fixture.clock.advance(by: .seconds(1))
        #expect(try await !fixture.isLive(left.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(left.refreshToken) } == "token_expired")
        #expect(try await fixture.handler.store.sessions(of: user.userID).map(\.id) == [used.sessionID])
        // Forgotten a week later.
        fixture.clock.advance(by: AuthPolicy.retention)
        try await fixture.handler.store.prune()
        #expect(await refusal { _ = try await fixture.refresh(left.refreshToken) } == "token_expired")
        fixture.clock.advance(by: .seconds(1))
        try await fixture.handler.store.prune()
        #expect(await refusal { _ = try await fixture.refresh(left.refreshToken) } == "invalid_refresh_token")
    }

    @Test("ASVS 7.3.2: a session ends in the end, however often it is used")
    func sessionsEndInTheEnd() async throws {
        let fixture = try await Fixture {
            $0.sessionIdle = .seconds(1000)
            $0.sessionLifetime = .seconds(2000)
        }
        _ = try await fixture.member()
        var session = try await fixture.signIn()
        for _ in 0..<4 {
            fixture.clock.advance(by: .seconds(450))
            session = try await fixture.refresh(session.refreshToken)
        }
        #expect(session.expiresIn == 200)
        fixture.clock.advance(by: .seconds(200))
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "token_expired")
    }

    @Test("ASVS 7.5.2: a user sees device, address and last use of each session")
    func sessionsSayWhatTheyAre() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        let session = try await fixture.signIn(agent: firefox, from: "192.0.2.1")
        let client = try fixture.client(session, user.userID)
        let fresh = try await client.listSessions(AuthListSessionsRequest(), CallOptions()).sessions
        #expect(fresh[0].device == "Firefox on Linux" && fresh[0].address == "192.0.2.1" && fresh[0].lastAddress.isEmpty)
        #expect(!fresh[0].hasSecondFactorAt)
        fixture.clock.advance(by: .seconds(60))
        var request = AuthRefreshTokensRequest()
        request.refreshToken = session.refreshToken
        var options = CallOptions()
        options.origin = ClientOrigin(address: "198.51.100.7", userAgent: firefox)
        _ = try await fixture.client().refreshTokens(request, options)
        let later = try await client.listSessions(AuthListSessionsRequest(), CallOptions()).sessions
        #expect(later[0].lastAddress == "198.51.100.7" && later[0].address == "192.0.2.1")
        #expect(later[0].lastUsedAt == fixture.clock.now.message)
        #expect(later[0].expiresAt == (fixture.clock.now + AuthPolicy().sessionIdle).message)
    }
}

@Suite struct DeviceTests {
    @Test(arguments: [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
            "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9.1", "curl"), ("", ""), ("<script>alert(1)</script>", "<script>alert(1)<"),
    ])
    func aUserAgentInWords(agent: String, name: String) { #expect(Device.name(of: agent) == name) }
}
