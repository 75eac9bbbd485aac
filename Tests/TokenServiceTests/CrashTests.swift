import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import TokenService

/// A callback that does not come to its end leaves neither rows nor tokens behind, and takes none away.
@Suite(.everyEngine) struct CrashTests {
    private func with(_ body: (Fixture, TestHTTPServer) async throws -> Void) async throws {
        let server = try await TestHTTPServer.start { _ in .tokens("access", refresh: "refresh") }
        try await Fixture.with(ProviderRegistry([.acme(server.origin)])) { try await body($0, server) }
        try await server.stop()
    }

    /// Uses the state up as a callback does, and goes no further.
    private func consumed(_ start: TokenCreateConnectionResponse, _ fixture: Fixture) async throws -> Authorization {
        let hash = try AuthorizationState.hash(try #require(start.query["state"]))
        let found = try await fixture.store.consume(stateHash: hash, user: "usr_ada", browserHash: nil)
        return try #require(found)
    }

    @Test func aFlowWhoseProcessDiedMakesRoomAgain() async throws {
        try await with { fixture, _ in
            let ada = try fixture.client("usr_ada")
            _ = try await consumed(ada.start(), fixture)
            fixture.clock.advance(by: .seconds(659))
            try await fixture.parts.revoker.purge()
            #expect(try await ada.states() == [.pending], "an exchange may be under way")
            fixture.clock.advance(by: .seconds(1))
            try await fixture.parts.revoker.purge()
            #expect(try await ada.states() == [])
        }
    }

    @Test func tokensThatNoDatabaseTakesAreRevoked() async throws {
        guard Engine.current == .sqlite else { return }
        try await with { fixture, server in
            let ada = try fixture.client("usr_ada")
            let start = try await ada.start()
            try await fixture.database.write { transaction in
                _ = try transaction.execute(
                    """
                    CREATE TRIGGER full BEFORE UPDATE ON connections WHEN NEW.state = 'active'
                    BEGIN SELECT RAISE(ABORT, 'disk full'); END
                    """)
            }
            let state = try #require(start.query["state"])
            #expect(await failure { try await ada.complete(Callback(state: state)) } != nil)
            #expect(server.requests(to: "/revoke").map { $0.form["token"] } == ["refresh", "access"])
            #expect(try await ada.states() == [])
        }
    }

    @Test func aLinkThatCameAboutIsNotAbandoned() async throws {
        try await with { fixture, server in
            let ada = try fixture.client("usr_ada")
            let start = try await ada.start()
            let authorization = try await consumed(start, fixture)
            let tokens = try ProviderTokens(json: Array(#"{"access_token":"a","token_type":"bearer"}"#.utf8))
            let sealed = try await TokenVault(sealer: fixture.sealer).seal(
                tokens, of: start.connectionID, CallOptions())
            let change = Change(at: fixture.clock.now, requestID: "test")
            let update = TokenUpdate(tokens, sealed: sealed, now: change.at)
            _ = try await fixture.store.activate(authorization, update, scope: "", change)
            try await fixture.store.abandon(authorization, change)
            #expect(try await ada.states() == [.active])
            #expect(try await ada.token(start.connectionID).accessToken == "a")
            #expect(try await !fixture.events().contains("connection_failed"))
        }
    }
}
