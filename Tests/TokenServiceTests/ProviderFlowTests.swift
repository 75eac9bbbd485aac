import AsyncHTTPClient
import ContractClients
import Contracts
import Foundation
import NIOCore
import NIOHTTP1
import RPCCore
import RPCInProcess
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import TokenService

/// The whole way, against a real OAuth 2.0 server.
@Suite(.serialized, .everyEngine) struct ProviderFlowTests {
    private let provider: RealProvider

    init() throws { provider = try RealProvider.start() }

    private func linked(_ fixture: Fixture, user: String = "usr_ada") async throws -> String {
        let start = try await fixture.client(user).start("canaille")
        try await fixture.client(nil).complete(try provider.consent(start.authorizationURL), in: start.browser)
        return start.connectionID
    }

    @Test func aUserLinksAProviderAndReadsItsToken() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let client = try fixture.client("usr_ada")
            let listed = try await client.listProviders(TokenListProvidersRequest()).providers
            #expect(listed.map(\.provider) == ["canaille"])

            let start = try await client.start("canaille")
            #expect(start.query["code_challenge_method"] == "S256")
            #expect(start.query["redirect_uri"] == Fixture.redirectURI)
            #expect(try await client.states() == [.pending])
            #expect(await failure { try await client.token(start.connectionID) }?.reason == "not_connected")

            let callback = try provider.consent(start.authorizationURL)
            let connection = try await fixture.client(nil).complete(callback, in: start.browser)
            #expect(connection.connectionID == start.connectionID)
            #expect(connection.state == .active)

            let token = try await client.token(start.connectionID)
            #expect(token.tokenType == "Bearer")
            #expect(token.scope == "profile email")
            #expect(try await provider.honours(token.accessToken, fixture.http))
            #expect(try await fixture.events() == ["connection_started", "connection_completed", "token_read"])

            let bytes = try fixture.databaseBytes()
            let secrets = [token.accessToken, callback.state, callback.code, provider.description.clientSecret]
            for secret in secrets + [start.browser] {
                #expect(bytes.range(of: Data(secret.utf8)) == nil)
            }
        }
    }

    @Test func aRefusedConsentEndsTheLink() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let client = try fixture.client("usr_ada")
            let start = try await client.start("canaille")
            let callback = try provider.consent(start.authorizationURL, deny: true)
            #expect(await failure { try await client.complete(callback) }?.reason == "consent_refused")
            #expect(try await client.states() == [])
        }
    }

    @Test func theProviderRefusesAWrongVerifier() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let client = try fixture.client("usr_ada")
            let start = try await client.start("canaille")
            let other = try await fixture.sealer.seal(
                Array(CodeVerifier().value.exposed.utf8), context: "\(start.connectionID)/code_verifier",
                options: CallOptions())
            try await fixture.database.write { transaction in
                _ = try transaction.execute("UPDATE authorizations SET verifier = :other", ["other": other])
            }
            let callback = try provider.consent(start.authorizationURL)
            #expect(await failure { try await client.complete(callback) }?.reason == "provider_refused")
            #expect(try await client.states() == [])
        }
    }

    @Test func aStateWorksOnceAndForItsUserOnly() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let client = try fixture.client("usr_ada")
            let start = try await client.start("canaille")
            let callback = try provider.consent(start.authorizationURL)
            let stranger = try fixture.client("usr_eve")
            #expect(await failure { try await stranger.complete(callback) }?.reason == "invalid_state")

            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 {
                    group.addTask { (try? await client.complete(callback)) != nil }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(outcomes == 1)
            #expect(await failure { try await client.complete(callback) }?.reason == "invalid_state")
            #expect(try await client.states() == [.active])
        }
    }

    @Test func anotherIssuersAnswerIsRefused() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let client = try fixture.client("usr_ada")
            for issuer in ["https://evil.example", ""] {
                let start = try await client.start("canaille")
                var callback = try provider.consent(start.authorizationURL)
                callback.issuer = issuer
                #expect(await failure { try await client.complete(callback) }?.reason == "wrong_issuer")
            }
        }
    }

    /// A hundred readers in two processes, the token at its end: the provider, whose refresh tokens work once, is asked
    /// once, and all readers get the new token.
    @Test func hundredReadersAreOneRefresh() async throws {
        let forwarder = HTTPClient(eventLoopGroupProvider: .singleton)
        let target = provider.description.tokenEndpoint
        let proxy = try await TestHTTPServer.start { await Self.forward($0, to: target, forwarder) }
        let registry = try provider.registry().moved(tokenEndpoint: proxy.origin + "/token")
        try await Fixture.with(registry) { fixture in
            let id = try await linked(fixture)
            let client = try fixture.client("usr_ada")
            let old = try await client.token(id).accessToken
            let (second, database) = try await fixture.secondProcess()
            let clients = [client, try fixture.client("usr_ada", of: second)]
            for round in 1...2 {
                fixture.clock.advance(by: .seconds(3600 - 30))
                let tokens = try await withThrowingTaskGroup(of: String.self) { group in
                    for reader in 0..<100 {
                        group.addTask { try await clients[reader % 2].token(id).accessToken }
                    }
                    return try await group.reduce(into: Set<String>()) { $0.insert($1) }
                }
                #expect(tokens.count == 1)
                #expect(!tokens.contains(old))
                let refreshes = proxy.requests.filter { $0.form["grant_type"] == "refresh_token" }
                #expect(refreshes.count == round)
                #expect(try await provider.honours(try #require(tokens.first), fixture.http))
            }
            await database.close()
        }
        try await forwarder.shutdown()
        try await proxy.stop()
    }

    @Test func deletingRevokesAtTheProvider() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let id = try await linked(fixture)
            let client = try fixture.client("usr_ada")
            let access = try await client.token(id).accessToken
            let sealed = try #require(try await fixture.store.connection(id, of: "usr_ada")?.tokens.refreshToken)
            let refresh = String(
                decoding: try await fixture.sealer.open(
                    sealed, context: "\(id)/refresh_token", options: CallOptions()), as: UTF8.self)
            #expect(try await provider.honours(access, fixture.http))
            #expect(try await provider.honours(refresh, fixture.http))

            try await client.delete(id)
            #expect(try await !provider.honours(access, fixture.http))
            #expect(try await !provider.honours(refresh, fixture.http))
            #expect(await failure { try await client.token(id) }?.code == .notFound)
            #expect(try await fixture.events().suffix(2) == ["connection_deleted", "tokens_revoked"])
            try await client.delete(id)
        }
    }

    @Test("GDPR 17: a deleted account's connections go at once, and the provider is told in the background")
    func aDeletedAccountIsForgotten() async throws {
        try await Fixture.with(provider.registry()) { fixture in
            let id = try await linked(fixture)
            let client = try fixture.client("usr_ada")
            let access = try await client.token(id).accessToken
            let auth = TokenServiceClient(try InProcessChannel(async: [fixture.parts.handler], peer: "auth"))
            func forget(_ user: String) async throws -> UInt32 {
                var request = TokenForgetUserRequest()
                request.userID = user
                return try await auth.forgetUser(request, CallOptions()).connections
            }
            #expect(try await forget("usr_eve") == 0)
            #expect(try await client.token(id).accessToken == access, "nobody else's")
            #expect(try await forget("usr_ada") == 1)
            #expect(await failure { try await client.token(id) }?.code == .notFound)
            #expect(try await fixture.parts.revoker.revokeDue() == 1)
            #expect(try await !provider.honours(access, fixture.http))
            #expect(try await forget("usr_ada") == 0, "again is fine")
            let gateway = TokenServiceClient(try InProcessChannel(async: [fixture.parts.handler], peer: "gateway"))
            let denied = await failure { try await gateway.forgetUser(.with { $0.userID = "usr_ada" }, CallOptions()) }
            #expect(denied?.reason == "caller_not_allowed")
        }
    }

    private static func forward(
        _ request: TestHTTPServer.Request, to target: String, _ http: HTTPClient
    ) async -> TestHTTPServer.Reply {
        var copy = HTTPClientRequest(url: target)
        copy.method = .POST
        for name in ["Authorization", "Content-Type", "Accept"] {
            if let value = request.header(name) { copy.headers.add(name: name, value: value) }
        }
        copy.body = .bytes(ByteBuffer(string: request.body))
        do {
            let response = try await http.execute(copy, timeout: .seconds(30))
            let body = try await response.body.collect(upTo: 65_536)
            return .answer(Int(response.status.code), body: String(buffer: body))
        } catch {
            return .close
        }
    }
}

extension ProviderRegistry {
    /// The same providers behind another token endpoint.
    func moved(tokenEndpoint: String) -> ProviderRegistry {
        ProviderRegistry(
            all.map { provider in
                Provider(
                    id: provider.id, name: provider.name, authorizationEndpoint: provider.authorizationEndpoint,
                    tokenEndpoint: tokenEndpoint, revocationEndpoint: provider.revocationEndpoint,
                    clientID: provider.clientID, clientSecret: provider.clientSecret, scopes: provider.scopes,
                    authentication: provider.authentication, redirectURI: provider.redirectURI,
                    issuer: provider.issuer)
            })
    }
}
