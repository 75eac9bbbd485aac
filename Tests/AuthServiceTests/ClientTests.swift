import ContractClients
import Contracts
import LibCrypto
import RPCCore
import RPCInProcess
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Machine clients: registering, rotation, tokens, introspection, revocation.
@Suite(.everyEngine) struct ClientTests {
    private func add(_ fixture: Fixture, _ scopes: [String] = ["admin", "responder"]) async throws -> AuthClientSecret {
        var request = AuthCreateClientRequest()
        request.name = "report"
        request.scopes = scopes
        return try await fixture.clients().createClient(request, CallOptions())
    }

    private func rotate(_ client: AuthClientSecret, _ fixture: Fixture, endPrevious: Bool = false) async throws -> AuthClientSecret {
        var request = AuthRotateClientSecretRequest()
        request.clientID = client.clientID
        request.endPrevious = endPrevious
        return try await fixture.clients().rotateClientSecret(request, CallOptions())
    }

    private func token(
        _ fixture: Fixture, _ id: String, _ secret: String, scope: String = "", from address: String = "192.0.2.1",
        grant: String = "client_credentials"
    ) async throws -> AuthIssueTokenResponse {
        var request = AuthIssueTokenRequest()
        (request.grantType, request.scope) = (grant, scope)
        (request.clientID, request.clientSecret) = (id, secret)
        var options = CallOptions()
        options.origin = ClientOrigin(address: address, userAgent: "program")
        return try await fixture.oauth().issueToken(request, options)
    }

    private func token(_ fixture: Fixture, _ client: AuthClientSecret, scope: String = "") async throws -> AuthIssueTokenResponse {
        try await token(fixture, client.clientID, client.clientSecret, scope: scope)
    }

    private func introspect(_ token: String, _ client: AuthClientSecret, _ fixture: Fixture) async throws -> AuthIntrospectTokenResponse {
        var request = AuthIntrospectTokenRequest()
        (request.token, request.clientID, request.clientSecret) = (token, client.clientID, client.clientSecret)
        return try await fixture.oauth().introspectToken(request, CallOptions())
    }

    private func revoke(_ token: String, _ client: AuthClientSecret, _ fixture: Fixture) async -> String? {
        var request = AuthRevokeTokenRequest()
        (request.token, request.clientID, request.clientSecret) = (token, client.clientID, client.clientSecret)
        return await refusal { _ = try await fixture.oauth().revokeToken(request, CallOptions()) }
    }

    private func events(_ fixture: Fixture) async throws -> [String] {
        try await fixture.audit().filter { $0.hasPrefix("client_") }
    }

    @Test("RFC 6749 4.4, RFC 9068 2.2: a client gets a token for itself, with its scopes or some of them")
    func aClientGetsAToken() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        #expect(client.clientID.hasPrefix("cli_") && client.clientSecret.hasPrefix("lcs_") && client.live == 1)
        let all = try await token(fixture, client)
        #expect(all.tokenType == "Bearer" && all.expiresIn == 900 && all.scope == "admin responder")
        var signed = fixture.tokens.newest
        #expect(signed.subject == client.clientID && signed.clientID == client.clientID)
        #expect(signed.roles == ["admin", "responder"] && signed.scope == "admin responder")
        #expect(try await fixture.isLive(signed.sessionID), "gateways may ask")
        let some = try await token(fixture, client, scope: "responder")
        signed = fixture.tokens.newest
        #expect(some.scope == "responder" && signed.roles == ["responder"])
        #expect(await refusal { _ = try await token(fixture, client, scope: "responder user") } == "invalid_scope")
        #expect(
            await refusal { _ = try await token(fixture, client.clientID, client.clientSecret, grant: "password") }
                == "unsupported_grant_type")
        #expect(try await events(fixture) == ["client_created", "client_token_issued", "client_token_issued"])
        let list = try await fixture.clients().listClients(.init(), CallOptions()).clients
        #expect(list.map(\.name) == ["report"] && list[0].live == 1 && list[0].hasLastUsedAt)
    }

    @Test("ASVS 13.3.1, RFC 6819 5.1.4.1.3: of a secret only a digest is kept")
    func nothingAtRestIsOfUse() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let token = try await token(fixture, client)
        let texts = try await fixture.database.read { connection in
            try connection.query("SELECT secret_hash AS bytes FROM client_secrets", [:]) { try $0.get("bytes", as: [UInt8].self) }
        }
        #expect(texts == [try SHA256.hash(Array(client.clientSecret.utf8))])
        let ids = try await fixture.database.read { connection in
            try connection.query("SELECT id FROM client_tokens", [:]) { try $0.get("id", as: String.self) }
        }
        #expect(ids.count == 1 && !ids[0].contains(token.accessToken))
    }

    @Test("ASVS 13.2.3: two secrets are live at once, the one before the last ends with its tokens")
    func secretsAreRotated() async throws {
        let fixture = try await Fixture()
        let first = try await add(fixture)
        _ = try await token(fixture, first)
        let ofFirst = fixture.tokens.newest.sessionID
        fixture.clock.advance(by: .seconds(1))
        let second = try await rotate(first, fixture)
        #expect(second.live == 2 && second.clientID == first.clientID && second.clientSecret != first.clientSecret)
        _ = try await token(fixture, first)
        _ = try await token(fixture, second)
        let ofSecond = fixture.tokens.newest.sessionID
        fixture.clock.advance(by: .seconds(1))
        let third = try await rotate(first, fixture)
        #expect(third.live == 2)
        #expect(await refusal { _ = try await token(fixture, first) } == "invalid_client")
        #expect(try await !fixture.isLive(ofFirst))
        #expect(try await fixture.isLive(ofSecond))
        _ = try await token(fixture, third)
        fixture.clock.advance(by: .seconds(1))
        let fourth = try await rotate(first, fixture, endPrevious: true)
        #expect(fourth.live == 1)
        for client in [second, third] {
            #expect(await refusal { _ = try await token(fixture, client) } == "invalid_client")
        }
        #expect(try await !fixture.isLive(ofSecond))
        #expect(try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID).contains(ofSecond))
        _ = try await token(fixture, fourth)
        #expect(
            await refusal { _ = try await rotate(.with { $0.clientID = "cli_nobody" }, fixture) } == "client_not_found")
    }

    @Test func aRemovedClientIsGoneAtOnce() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        _ = try await token(fixture, client)
        let live = fixture.tokens.newest.sessionID
        var request = AuthDeleteClientRequest()
        request.clientID = client.clientID
        for _ in 0..<2 { _ = try await fixture.clients().deleteClient(request, CallOptions()) }
        #expect(try await !fixture.isLive(live))
        #expect(try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID) == [live])
        #expect(await refusal { _ = try await token(fixture, client) } == "invalid_client")
        #expect(try await events(fixture).filter { $0 == "client_removed" }.count == 1)
        var search = AuthSearchAuditEventsRequest()
        search.userID = client.clientID
        let trail = try await fixture.operatorClient().searchAuditEvents(search, CallOptions()).events
        #expect(Set(trail.map(\.event)) == ["client_created", "client_token_issued", "client_removed"])
        #expect(trail.allSatisfy { $0.subject == client.clientID })
        #expect(trail.filter { $0.event == "client_removed" }.map(\.actor) == ["operator"])
    }

    @Test func whatWasTakenAwayMeanwhileWins() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let store = fixture.handler.store
        let origin = Origin(address: "", userAgent: "", requestID: "r")
        let secret = try #require(OpaqueToken(client.clientSecret, .clientSecret))
        let known = try await store.authenticate(client: client.clientID, secret: secret, origin)
        _ = try await rotate(client, fixture, endPrevious: true)
        let late = ClientToken(id: "clt_late", client: known, expiresAt: fixture.clock.now + .seconds(60))
        await #expect(throws: AuthError.invalidClient) { try await store.record(late, scopes: ["admin"], origin) }
        #expect(try await !fixture.isLive("clt_late"))
    }

    @Test("RFC 7662 2.2: introspection says what a live token says, and of every other nothing")
    func introspection() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let other = try await add(fixture, ["responder"])
        let own = try await token(fixture, client).accessToken
        let answer = try await introspect(own, other, fixture)
        #expect(answer.active && answer.sub == client.clientID && answer.clientID == client.clientID)
        #expect(answer.scope == "admin responder" && answer.tokenType == "Bearer" && answer.aud == "lockstep")
        #expect(answer.iss == "https://lockstep.local" && !answer.hasAcr && !answer.hasAuthTime)
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let ofUser = try await introspect(session.accessToken, client, fixture)
        #expect(ofUser.active && ofUser.sub == user.userID && !ofUser.hasClientID && ofUser.scope == "user")
        #expect(ofUser.acr.hasSuffix("aal1") && ofUser.hasAuthTime)
        let nothing = AuthIntrospectTokenResponse()
        for dead in [session.refreshToken, "garbage", client.clientSecret, "lsr_x"] {
            #expect(try await introspect(dead, client, fixture) == nothing)
        }
        _ = try await fixture.client(session, user.userID).revokeCurrentSession(.init(), CallOptions())
        #expect(try await introspect(session.accessToken, client, fixture) == nothing, "its session is over")
        _ = try await fixture.handler.store.raiseTokenVersion(
            for: .everyone, grace: .zero, by: .operator, Origin(address: "", userAgent: "", requestID: "r"))
        #expect(try await introspect(own, client, fixture) == nothing, "everybody's tokens ended")
        let fresh = try await token(fixture, client).accessToken
        #expect(try await introspect(fresh, client, fixture).active)
        fixture.clock.advance(by: .seconds(900))
        #expect(try await introspect(fresh, client, fixture) == nothing)
        fixture.tokens.set(down: true)
        #expect(await refusal { _ = try await introspect(fresh, client, fixture) } != nil, "not known is not dead")
    }

    @Test("RFC 7009 2.1, 2.2: a client ends its own tokens, and nobody else's; an unknown one is no error")
    func revocation() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let other = try await add(fixture)
        let own = try await token(fixture, client).accessToken
        let id = fixture.tokens.newest.sessionID
        #expect(await revoke(own, other, fixture) == "invalid_grant")
        #expect(try await fixture.isLive(id))
        for _ in 0..<2 { #expect(await revoke(own, client, fixture) == nil) }
        #expect(try await !fixture.isLive(id))
        #expect(try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID) == [id])
        #expect(try await introspect(own, client, fixture) == AuthIntrospectTokenResponse())
        #expect(await revoke("garbage", client, fixture) == nil)
        #expect(await revoke(try OpaqueToken(.refresh).text.exposed, client, fixture) == nil)
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        #expect(await revoke(session.accessToken, client, fixture) == "invalid_grant")
        #expect(await revoke(session.refreshToken, client, fixture) == "invalid_grant")
        #expect(try await fixture.isLive(session.sessionID), "of \(user.userID)")
        #expect(try await events(fixture).filter { $0 == "client_token_revoked" }.count == 1)
    }

    @Test("ASVS 16.3.1: what is no secret at all is audited, and closes nothing")
    func malformedSecretsAreAudited() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let other = String(client.clientSecret.dropLast()) + (client.clientSecret.hasSuffix("A") ? "B" : "A")
        for secret in ["lcs_wrong", other, try OpaqueToken(.refresh).text.exposed] {
            #expect(await refusal { _ = try await token(fixture, client.clientID, secret) } == "invalid_client")
        }
        #expect(await refusal { _ = try await token(fixture, "usr_1", client.clientSecret) } == "invalid_client")
        var search = AuthSearchAuditEventsRequest()
        search.event = "client_authn_fail"
        let trail = try await fixture.operatorClient().searchAuditEvents(search, CallOptions()).events
        #expect(trail.count == 3 && trail.allSatisfy { $0.subject == client.clientID })
        // They are throttled as guesses are: nobody fills the audit trail with them.
        for _ in 0..<ClientGuessLimit.burst + 3 {
            #expect(await refusal { _ = try await token(fixture, client.clientID, "lcs_wrong") } == "invalid_client")
        }
        let all = try await fixture.operatorClient().searchAuditEvents(search, CallOptions()).events
        #expect(all.count == ClientGuessLimit.burst)
    }

    @Test("ASVS 6.1.1, 6.3.1: guesses are throttled where they come from, and close nothing for the client itself")
    func guessesAreThrottled() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        func guess(_ id: String, _ secret: String, from address: String = "198.51.100.1") async -> String? {
            await refusal { _ = try await token(fixture, id, secret, from: address) }
        }
        for _ in 0..<ClientGuessLimit.burst {
            #expect(await guess(client.clientID, try OpaqueToken(.clientSecret).text.exposed) == "invalid_client")
        }
        for _ in 0..<3 {
            #expect(await guess(client.clientID, try OpaqueToken(.clientSecret).text.exposed) == "invalid_client", "closed")
        }
        #expect(try await events(fixture).count { $0 == "client_authn_fail" } == ClientGuessLimit.burst)
        #expect(await guess(client.clientID, client.clientSecret) == nil, "the right one, from the same network")
        let count = try await fixture.database.read { connection in
            try connection.one("SELECT count(*) AS n FROM guesses", [:]).get("n", as: Int.self)
        }
        #expect(count == 0, "a right one sets it to 0")
        #expect(await guess("cli_nobody", client.clientSecret) == "invalid_client")
        let trail = try await events(fixture).filter { $0 == "client_authn_fail" }
        #expect(trail.count == ClientGuessLimit.burst + 1, "none while it was closed")
    }

    @Test("ASVS 6.3.8: an id that no client has costs what a wrong secret costs")
    func unknownAndWrongCostTheSame() async throws {
        let fixture = try await Fixture()
        let client = try await add(fixture)
        let wrong = try OpaqueToken(.clientSecret).text.exposed
        func time(_ id: String, _ round: Int) async -> Duration {
            let start = ContinuousClock.now
            // Each from another network, so that none is throttled.
            let reason = await refusal {
                _ = try await token(fixture, id, wrong, from: "198.51.\(round / 250).\(round % 250)")
            }
            #expect(reason == "invalid_client")
            return start.duration(to: .now)
        }
        var (unknown, known) = ([Duration](), [Duration]())
        for round in 0..<150 {
            unknown.append(await time("cli_nobody", round))
            known.append(await time(client.clientID, round))
        }
        let (a, b) = (unknown.sorted()[75], known.sorted()[75])
        let ratio = Double(a.wholeMicroseconds) / Double(max(1, b.wholeMicroseconds))
        print("unknown client against wrong secret, medians on \(Engine.current.rawValue): \(a), \(b)")
        // The same statements; what is left is noise of a shared machine.
        #expect((0.6...1.7).contains(ratio), "\(ratio)")
    }

    @Test func admins() async throws {
        #expect(ClientOperatorHandler.contract.methods.allSatisfy { $0.callers == ["operator"] && $0.exposure == .internal })
        #expect(ClientAdminHandler.contract.methods.allSatisfy { $0.exposure == .admin(roles: ["admin"]) })
        let fixture = try await Fixture()
        var request = AuthCreateClientRequest()
        request.name = "report"
        request.scopes = ["user"]
        #expect(await refusal { _ = try await fixture.clients().createClient(request, CallOptions()) } == "invalid_request")
        // A client may do what its scopes say, and no client makes another.
        let client = try await add(fixture)
        let identity = UserIdentity(subject: client.clientID, sessionID: "clt_1", roles: ["admin"], lane: .routine)
        request.scopes = ["admin"]
        let admin = ClientAdminServiceClient(
            try InProcessChannel(
                async: [ClientAdminHandler(store: fixture.handler.store)], peer: "gateway", user: identity))
        #expect(try await admin.listClients(.init(), CallOptions()).clients.count == 1)
        #expect(await refusal { _ = try await admin.createClient(request, CallOptions()) } == "user_needed")
        let ada = try await fixture.member()
        var grant = AuthGrantRoleRequest()
        (grant.userID, grant.role) = (ada.userID, "responder")
        let users = UserAdminServiceClient(
            try InProcessChannel(
                async: [UserAdminHandler(store: fixture.handler.store)], peer: "gateway", user: identity))
        _ = try await users.grantRole(grant, CallOptions())
        // An admin whom a client made would outlive it.
        grant.role = "admin"
        #expect(await refusal { _ = try await users.grantRole(grant, CallOptions()) } == "user_needed")
        var reset = AuthResetFactorsRequest()
        reset.userID = ada.userID
        #expect(await refusal { _ = try await users.resetFactors(reset, CallOptions()) } == "user_needed")
        var search = AuthSearchAuditEventsRequest()
        search.event = "role_granted"
        let trail = try await fixture.operatorClient().searchAuditEvents(search, CallOptions()).events
        #expect(trail.map(\.actor) == [client.clientID])
    }
}
