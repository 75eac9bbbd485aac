import ContractClients
import Contracts
import Foundation
import RPCCore
import SQL
import ServiceKit
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import TokenService

/// A provider that does as the test says, and what the service makes of it.
@Suite(.everyEngine) struct DrillTests {
    /// What the token endpoint answers next; what it answers when nothing is scripted.
    final class Script: Sendable {
        private let replies = Mutex<[TestHTTPServer.Reply]>([])
        private let count = Mutex(0)

        func next(_ reply: TestHTTPServer.Reply...) { replies.withLock { $0 += reply } }

        func answer(_ request: TestHTTPServer.Request) -> TestHTTPServer.Reply {
            let scripted = replies.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            if let scripted { return scripted }
            if request.path == "/revoke" { return .answer(200, body: "{}") }
            let number = count.withLock { count in
                count += 1
                return count
            }
            return .tokens("access-\(number)", refresh: "refresh-\(number)")
        }
    }

    struct Drill {
        let fixture: Fixture
        let server: TestHTTPServer
        let script: Script

        func linked(_ user: String = "usr_ada") async throws -> String {
            let client = try fixture.client(user)
            let start = try await client.start()
            try await client.complete(Callback(state: try #require(start.query["state"])))
            return start.connectionID
        }

        var refreshes: [TestHTTPServer.Request] {
            server.requests(to: "/token").filter { $0.form["grant_type"] == "refresh_token" }
        }
    }

    private func drill(
        authentication: Provider.ClientAuthentication = .basic, _ change: (inout TokenSettings) -> Void = { _ in },
        _ body: (Drill) async throws -> Void
    ) async throws {
        let script = Script()
        let server = try await TestHTTPServer.start { script.answer($0) }
        let registry = ProviderRegistry([.acme(server.origin, authentication)])
        try await Fixture.with(registry, change) { fixture in
            try await body(Drill(fixture: fixture, server: server, script: script))
        }
        try await server.stop()
    }

    // MARK: Refresh

    static let passingFailures: [(TestHTTPServer.Reply, String)] = [
        (.answer(429, headers: [("Retry-After", "7")], body: "slow down"), "provider_unavailable"),
        (.answer(500, body: "oops"), "provider_unavailable"),
        (.answer(503, headers: [("Retry-After", "7")], body: ""), "provider_unavailable"),
        (.answer(400, body: #"{"error":"temporarily_unavailable"}"#), "provider_unavailable"),
        (.close, "provider_unavailable"),
        (.silence, "provider_unavailable"),
        (.answer(200, body: "{\"access_token\": \"half"), "provider_malformed"),
        (.answer(200, body: "<html>PLANTED</html>"), "provider_malformed"),
        (.answer(200, body: "[]"), "provider_malformed"),
        (.answer(200, body: #"{"access_token":"a","token_type":"mac"}"#), "provider_malformed"),
        (.answer(200, body: #"{"access_token":"","token_type":"bearer"}"#), "provider_malformed"),
        (.answer(200, body: #"{"access_token":"a\nb","token_type":"bearer"}"#), "provider_malformed"),
        (.answer(200, body: #"{"access_token":"a","token_type":"bearer","expires_in":-1}"#), "provider_malformed"),
        (.answer(200, body: #"{"access_token":"a","token_type":"bearer","expires_in":{}}"#), "provider_malformed"),
        (.answer(200, body: String(repeating: "x", count: 1 << 20)), "provider_malformed"),
        (.answer(302, headers: [("Location", "/elsewhere")], body: ""), "provider_malformed"),
    ]

    @Test(arguments: 0..<passingFailures.count)
    func aPassingFailureIsToldAndTheConnectionLives(index: Int) async throws {
        let (reply, reason) = Self.passingFailures[index]
        try await drill({ $0.providerTimeout = .milliseconds(300) }) { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            drill.script.next(reply)

            let error = await failure { try await client.token(id) }
            #expect(error?.code == .unavailable)
            #expect(error?.reason == reason)
            #expect(error?.message.contains("PLANTED") == false)
            let pause = try #require(error?.retryAfter)
            if case .answer(_, let headers, _) = reply, headers.contains(where: { $0.0 == "Retry-After" }) {
                #expect(pause == .seconds(7))
            }

            // Until then the provider is left alone.
            let asked = drill.refreshes.count
            #expect(await failure { try await client.token(id) }?.code == .unavailable)
            #expect(drill.refreshes.count == asked)
            #expect(drill.server.requests(to: "/elsewhere").isEmpty)

            drill.fixture.clock.advance(by: pause)
            #expect(try await client.token(id).accessToken == "access-2")
            #expect(drill.refreshes.last?.form["refresh_token"] == "refresh-1")
        }
    }

    @Test func aLivingTokenBridgesAFailure() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3550))
            drill.script.next(.answer(500, body: ""))
            #expect(try await client.token(id).accessToken == "access-1")
            #expect(drill.refreshes.count == 1)
            drill.fixture.clock.advance(by: .seconds(6))
            #expect(try await client.token(id).accessToken == "access-2")
        }
    }

    @Test func invalidGrantIsTheEnd() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            drill.script.next(.answer(400, body: #"{"error":"invalid_grant","error_description":"PLANTED"}"#))
            for _ in 0..<3 {
                let error = await failure { try await client.token(id) }
                #expect(error?.code == .failedPrecondition)
                #expect(error?.reason == "needs_consent")
                #expect(error.map { "\($0)" }?.contains("PLANTED") == false)
            }
            #expect(drill.refreshes.count == 1)
            #expect(try await client.states() == [.needsConsent])
        }
    }

    @Test func aRefusedClientDoesNotCostTheUserTheLink() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            drill.script.next(.answer(401, body: #"{"error":"invalid_client"}"#))
            #expect(await failure { try await client.token(id) }?.reason == "provider_refused")
            #expect(try await client.states() == [.active])
            drill.fixture.clock.advance(by: .seconds(61))
            #expect(try await client.token(id).accessToken == "access-2")
        }
    }

    @Test func aMissingRefreshTokenKeepsTheOldOne() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.script.next(.tokens("access-x", refresh: nil))
            drill.fixture.clock.advance(by: .seconds(3601))
            #expect(try await client.token(id).accessToken == "access-x")
            drill.fixture.clock.advance(by: .seconds(3601))
            #expect(try await client.token(id).accessToken == "access-2")
            #expect(drill.refreshes.map { $0.form["refresh_token"] } == ["refresh-1", "refresh-1"])
        }
    }

    @Test func aTokenWithoutAnEndIsNeverRefreshed() async throws {
        try await drill { drill in
            let endless = #"{"access_token":"forever","token_type":"BEARER","refresh_token":"r"}"#
            drill.script.next(.answer(200, body: endless))
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(10 * 365 * 86_400))
            let token = try await client.token(id)
            #expect(token.accessToken == "forever")
            #expect(!token.hasExpiresAt)
            #expect(drill.refreshes.isEmpty)
        }
    }

    @Test func aTokenWithoutARefreshTokenServesToItsEnd() async throws {
        try await drill { drill in
            drill.script.next(.tokens("only", refresh: nil))
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3599))
            #expect(try await client.token(id).accessToken == "only")
            drill.fixture.clock.advance(by: .seconds(1))
            #expect(await failure { try await client.token(id) }?.reason == "needs_consent")
            #expect(try await client.states() == [.needsConsent])
        }
    }

    @Test func lifetimesComeAsTextToo() async throws {
        try await drill { drill in
            drill.script.next(.answer(200, body: #"{"access_token":"a","token_type":"Bearer","expires_in":"120"}"#))
            let id = try await drill.linked()
            let token = try await drill.fixture.client("usr_ada").token(id)
            #expect(token.expiresAt.seconds == drill.fixture.clock.now / 1_000_000 + 120)
        }
    }

    // MARK: Crashes

    /// Plays a process that dies between the question to the provider and the answer.
    private func crash(_ drill: Drill, _ id: String) async throws {
        let seen = try #require(try await drill.fixture.store.connection(id, of: "usr_ada"))
        let answer = try await drill.fixture.store.leaseRefresh(
            seen, LeaseTerms(owner: "token-1", duration: .seconds(45)),
            Change(at: drill.fixture.clock.now, requestID: "test"))
        guard case .leased = answer else {
            Issue.record("no lease: \(answer)")
            return
        }
        try await drill.fixture.store.releaseLeases(of: "token-1")
    }

    @Test func afterACrashTheOldTokenIsTriedOnceMore() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            try await crash(drill, id)
            #expect(try await client.token(id).accessToken == "access-2")
            #expect(try await drill.fixture.events().contains("token_refresh_unknown"))

            // A success wipes the slate clean.
            drill.fixture.clock.advance(by: .seconds(3601))
            try await crash(drill, id)
            #expect(try await client.token(id).accessToken == "access-3")
        }
    }

    @Test func afterTwoCrashesOnlyTheUserCanHelp() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            try await crash(drill, id)
            try await crash(drill, id)
            #expect(await failure { try await client.token(id) }?.reason == "needs_consent")
            #expect(drill.refreshes.isEmpty)
        }
    }

    @Test func aReplacedTokenLostInACrashAsksForConsent() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            try await crash(drill, id)
            drill.script.next(.answer(400, body: #"{"error":"invalid_grant"}"#))
            #expect(await failure { try await client.token(id) }?.reason == "needs_consent")
            #expect(drill.refreshes.count == 1)
        }
    }

    @Test func tokensThatCannotBeSealedAreMarkedAsUnknown() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.fixture.clock.advance(by: .seconds(3601))
            drill.fixture.sealer.set(sealing: false)
            #expect(await failure { try await client.token(id) }?.code == .unavailable)
            drill.fixture.sealer.set(sealing: true)
            #expect(try await client.token(id).accessToken == "access-3")
            #expect(try await drill.fixture.events().contains("token_refresh_unknown"))
        }
    }

    @Test func aConnectionDeletedDuringItsRefreshLeavesNoToken() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let store = drill.fixture.store
            drill.fixture.clock.advance(by: .seconds(3601))
            let change = Change(at: drill.fixture.clock.now, requestID: "test")
            let seen = try #require(try await store.connection(id, of: "usr_ada"))
            let answer = try await store.leaseRefresh(seen, LeaseTerms(owner: "x", duration: .seconds(45)), change)
            guard case .leased(let lease) = answer else {
                Issue.record("no lease")
                return
            }
            try await drill.fixture.client("usr_ada").delete(id)
            let vault = TokenVault(sealer: drill.fixture.sealer)
            let tokens = try ProviderTokens(json: Array(#"{"access_token":"late","token_type":"bearer"}"#.utf8))
            let sealed = try await vault.seal(tokens, of: id, CallOptions())
            let kept = try await store.commit(lease, TokenUpdate(tokens, sealed: sealed, now: change.at), change)
            #expect(!kept)
            try await drill.fixture.parts.revoker.revokeDue()
            #expect(drill.server.requests(to: "/revoke").map { $0.form["token"] } == ["refresh-1", "access-1", "late"])
        }
    }

    // MARK: Connect

    static let refusals: [(TestHTTPServer.Reply, StatusCode, String)] = [
        (.answer(400, body: #"{"error":"invalid_grant"}"#), .failedPrecondition, "provider_refused"),
        (.answer(401, body: #"{"error":"invalid_client"}"#), .failedPrecondition, "provider_refused"),
        (.answer(403, body: "PLANTED"), .failedPrecondition, "provider_refused"),
        (.answer(500, body: "PLANTED"), .unavailable, "provider_unavailable"),
        (.answer(200, body: "PLANTED"), .unavailable, "provider_malformed"),
        (.answer(307, headers: [("Location", "/elsewhere")], body: ""), .unavailable, "provider_malformed"),
        (.close, .unavailable, "provider_unavailable"),
    ]

    @Test(arguments: 0..<refusals.count)
    func aFailedExchangeEndsTheLink(index: Int) async throws {
        let (reply, code, reason) = Self.refusals[index]
        try await drill { drill in
            let client = try drill.fixture.client("usr_ada")
            let start = try await client.start()
            drill.script.next(reply)
            let error = await failure {
                try await client.complete(Callback(state: try #require(start.query["state"])))
            }
            #expect(error?.code == code)
            #expect(error?.reason == reason)
            #expect(error.map { "\($0)" }?.contains("PLANTED") == false)
            #expect(try await client.states() == [])
            #expect(try await drill.fixture.events() == ["connection_started", "connection_failed"])
        }
    }

    @Test func tokensThatCannotBeStoredAreRevoked() async throws {
        try await drill { drill in
            let client = try drill.fixture.client("usr_ada")
            let start = try await client.start()
            drill.fixture.sealer.set(sealing: false)
            let error = await failure {
                try await client.complete(Callback(state: try #require(start.query["state"])))
            }
            #expect(error?.code == .unavailable)
            #expect(drill.server.requests(to: "/revoke").map { $0.form["token"] } == ["refresh-1", "access-1"])
            #expect(try await client.states() == [])
        }
    }

    @Test func clientsProveThemselvesAsConfigured() async throws {
        try await drill(authentication: .basic) { drill in
            _ = try await drill.linked()
            let request = try #require(drill.server.requests(to: "/token").first)
            let pair = Data("client%20id%3A:s%3Acret%2F%2B".utf8).base64EncodedString()
            #expect(request.header("Authorization") == "Basic \(pair)")
            #expect(request.form["client_secret"] == nil)
            #expect(request.form["redirect_uri"] == Fixture.redirectURI)
            #expect(request.form["code_verifier"]?.count == 43)
        }
        try await drill(authentication: .post) { drill in
            _ = try await drill.linked()
            let request = try #require(drill.server.requests(to: "/token").first)
            #expect(request.header("Authorization") == nil)
            #expect(request.form["client_id"] == "client id:")
            #expect(request.form["client_secret"] == "s:cret/+")
        }
    }

    @Test func aStateExpires() async throws {
        try await drill { drill in
            let client = try drill.fixture.client("usr_ada")
            let start = try await client.start()
            drill.fixture.clock.advance(by: .seconds(600))
            let error = await failure {
                try await client.complete(Callback(state: try #require(start.query["state"])))
            }
            #expect(error?.reason == "invalid_state")
            #expect(drill.server.requests.isEmpty)
        }
    }

    @Test func usersHaveALimitAndEachTheirOwn() async throws {
        try await drill({ $0.connectionsPerUser = 2 }) { drill in
            let (ada, eve) = (try drill.fixture.client("usr_ada"), try drill.fixture.client("usr_eve"))
            let id = try await drill.linked()
            _ = try await ada.start()
            let tooMany = await failure { try await ada.start() }
            #expect(tooMany?.code == .failedPrecondition && tooMany?.reason == "too_many_connections")
            #expect(tooMany?.retryAfter == nil)
            _ = try await eve.start()
            #expect(await failure { try await eve.token(id) }?.code == .notFound)
            #expect(await failure { try await eve.delete(id) }?.code == .notFound)
            #expect(await failure { try await drill.fixture.client(nil).start() }?.code == .unauthenticated)
            let unknown = await failure { try await eve.start("nobody") }
            #expect(unknown?.violations.map(\.field) == ["provider"])
            #expect(try await ada.token(id).accessToken == "access-1")
        }
    }

    // MARK: Delete

    @Test func aProviderThatIsAwayIsToldLater() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let client = try drill.fixture.client("usr_ada")
            drill.script.next(.answer(503, headers: [("Retry-After", "120")], body: ""))
            try await client.delete(id)
            #expect(await failure { try await client.token(id) }?.code == .notFound)
            #expect(try await client.states() == [])
            let left = try await drill.fixture.database.read {
                try $0.one("SELECT count(access_token) AS n FROM connections").get("n", as: Int.self)
            }
            #expect(left == 0)

            let revoker = drill.fixture.parts.revoker
            #expect(try await revoker.revokeDue() == 0, "the provider asked for a pause")
            drill.fixture.clock.advance(by: .seconds(120))
            #expect(try await revoker.revokeDue() == 1)
            let requests = drill.server.requests(to: "/revoke")
            #expect(requests.map { $0.form["token"] } == ["refresh-1", "refresh-1", "access-1"])
            #expect(requests.last?.form["token_type_hint"] == "access_token")
            #expect(try await revoker.revokeDue() == 0)
            try await client.delete(id)
        }
    }

    @Test func aRevocationSurvivesTheProcess() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            let change = Change(at: drill.fixture.clock.now, requestID: "test")
            _ = try await drill.fixture.store.delete(id, of: "usr_ada", change)
            let held = try await drill.fixture.store.claimRevocation(
                LeaseTerms(owner: "token-1", duration: .seconds(60)), now: change.at)
            #expect(held != nil)
            #expect(try await drill.fixture.parts.revoker.revokeDue() == 0)
            try await drill.fixture.store.releaseLeases(of: "token-1")
            #expect(try await drill.fixture.parts.revoker.revokeDue() == 1)
        }
    }

    @Test func aRevocationIsGivenUpInTheEnd() async throws {
        try await drill { drill in
            let id = try await drill.linked()
            drill.script.next(.answer(500, body: ""), .answer(500, body: ""))
            try await drill.fixture.client("usr_ada").delete(id)
            drill.fixture.clock.advance(by: .seconds(8 * 86_400))
            try await drill.fixture.parts.revoker.revokeDue()
            #expect(try await drill.fixture.events().last == "token_revocation_abandoned")
            #expect(try await drill.fixture.parts.revoker.revokeDue() == 0)
        }
    }

    // MARK: At rest

    @Test func sealedTokensCannotChangePlaces() async throws {
        try await drill { drill in
            let (first, second) = (try await drill.linked(), try await drill.linked())
            let client = try drill.fixture.client("usr_ada")
            try await drill.fixture.database.write { transaction in
                _ = try transaction.execute(
                    """
                    UPDATE connections SET access_token = (SELECT access_token FROM connections WHERE id = :from)
                    WHERE id = :to
                    """, ["from": first, "to": second])
                _ = try transaction.execute(
                    "UPDATE connections SET access_token = refresh_token WHERE id = :id", ["id": first])
            }
            for id in [first, second] {
                #expect(await failure { try await client.token(id) }?.code == .internal)
            }
        }
    }

    @Test func unfinishedFlowsAreForgotten() async throws {
        try await drill { drill in
            let client = try drill.fixture.client("usr_ada")
            _ = try await client.start()
            let kept = try await drill.linked()
            drill.fixture.clock.advance(by: .seconds(601))
            try await drill.fixture.parts.revoker.purge()
            let left = try await client.listConnections(TokenListConnectionsRequest()).connections
            #expect(left.map(\.connectionID) == [kept])
        }
    }
}

extension TestHTTPServer.Reply {
    static func tokens(_ access: String, refresh: String?) -> Self {
        let member = refresh.map { #","refresh_token":"\#($0)""# } ?? ""
        return .answer(200, body: #"{"access_token":"\#(access)","token_type":"Bearer","expires_in":3600\#(member)}"#)
    }
}

extension Provider {
    static func acme(_ origin: String, _ authentication: ClientAuthentication = .basic) -> Provider {
        Provider(
            id: "acme", name: "Acme", authorizationEndpoint: origin + "/authorize?tenant=1",
            tokenEndpoint: origin + "/token", revocationEndpoint: origin + "/revoke", clientID: "client id:",
            clientSecret: .init("s:cret/+"), scopes: ["read", "write"], authentication: authentication,
            redirectURI: Fixture.redirectURI, issuer: nil)
    }
}
