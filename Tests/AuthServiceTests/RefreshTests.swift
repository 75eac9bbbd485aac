import Contracts
import Foundation
import RPCCore
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct RefreshTests {
    @Test("RFC 9700 4.14: 50 refreshes at once are one family and nobody is logged out")
    func fiftyAtOnceAreOneFamilyAndNobodyIsLoggedOut() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        for round in 0..<3 {
            let token = round == 0 ? session.refreshToken : try await fixture.refresh(session.refreshToken).refreshToken
            let answers = try await withThrowingTaskGroup(of: AuthSessionTokens.self) { group in
                for _ in 0..<50 {
                    group.addTask { try await fixture.refresh(token) }
                }
                return try await group.reduce(into: [AuthSessionTokens]()) { $0.append($1) }
            }
            #expect(Set(answers.map(\.refreshToken)).count == 1)
            #expect(Set(answers.map(\.sessionID)) == [session.sessionID])
        }
        let tokens = try await fixture.database.read {
            try $0.one("SELECT count(*) AS n, count(DISTINCT session_id) AS families FROM refresh_tokens")
        }
        #expect(try tokens.get("families", as: Int.self) == 1)
        // The first, its successor, and that one's.
        #expect(try tokens.get("n", as: Int.self) == 3)
        #expect(try await fixture.isLive(session.sessionID))
    }

    @Test func aReplayInTheGraceGivesTheSameSuccessor() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        let next = try await fixture.refresh(session.refreshToken)
        fixture.clock.advance(by: .seconds(10))
        #expect(try await fixture.refresh(session.refreshToken).refreshToken == next.refreshToken)
        #expect(try await fixture.refresh(next.refreshToken).refreshToken != next.refreshToken)
    }

    @Test("RFC 9700 4.14, RFC 6819 5.2.2.3, ASVS 10.4.5: a replay outside the grace ends the family")
    func aReplayOutsideTheGraceEndsTheFamily() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        let other = try await fixture.signIn()
        let next = try await fixture.refresh(session.refreshToken)
        fixture.clock.advance(by: .seconds(10) + .microseconds(1))
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "refresh_token_reused")
        #expect(await refusal { _ = try await fixture.refresh(next.refreshToken) } == "token_expired")
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(try await fixture.isLive(other.sessionID))
        #expect(try await fixture.audit().last == "authn_token_reuse")
        let page = try await fixture.handler.store.revocations(after: 0)
        #expect(page.entries.map(\.sessionID) == [session.sessionID])
    }

    @Test func theGraceIsErasedFromTheDatabaseWhenItIsOver() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.refresh(session.refreshToken)
        func sealed() async throws -> Int {
            try await fixture.database.read {
                try $0.one("SELECT count(sealed_successor) AS n FROM refresh_tokens").get("n")
            }
        }
        try await fixture.handler.store.prune()
        #expect(try await sealed() == 1)
        fixture.clock.advance(by: .seconds(11))
        try await fixture.handler.store.prune()
        #expect(try await sealed() == 0)
    }

    @Test("ASVS 7.2.3: garbage does not reach the database")
    func garbageDoesNotReachTheDatabase() async throws {
        let fixture = try await Fixture()
        let before = fixture.database.statistics
        for garbage in ["lsr_x", "x", String(repeating: "A", count: 200)] {
            #expect(await refusal { _ = try await fixture.refresh(garbage) } == "invalid_refresh_token")
        }
        #expect(fixture.database.statistics == before)
        #expect(
            await refusal { _ = try await fixture.refresh(OpaqueToken(.refresh).text.exposed) }
                == "invalid_refresh_token")
    }

    @Test func aFailureToSignDoesNotUseTheToken() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        fixture.tokens.set(down: true)
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "unavailable")
        fixture.clock.advance(by: .seconds(600))
        fixture.tokens.set(down: false)
        _ = try await fixture.refresh(session.refreshToken)
    }

    @Test("ASVS 11.4.2, 16.2.5: no token or password is in the files")
    func noTokenOrPasswordIsInTheFiles() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let link = try await fixture.mailedToken(.emailVerification)
        try await fixture.verify(link)
        let session = try await fixture.signIn()
        let next = try await fixture.refresh(session.refreshToken)
        let secrets = [
            Fixture.password, link, session.refreshToken, next.refreshToken, session.accessToken, next.accessToken,
        ]
        for name in ["auth.sqlite", "auth.sqlite-wal"] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: fixture.directory.path(name)))
            for secret in secrets {
                #expect(bytes.range(of: Data(secret.utf8)) == nil)
            }
        }
    }
}
