import ContractClients
import Contracts
import RPCCore
import RPCInProcess
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Roles, disabling, search and the audit trail.
@Suite(.everyEngine) struct AdministrationTests {
    private func grant(_ role: String, to user: String, _ fixture: Fixture) async throws -> AuthAccount {
        var request = AuthGrantRoleRequest()
        request.userID = user
        request.role = role
        return try await fixture.operatorClient().grantRole(request, CallOptions())
    }

    private func search(_ fixture: Fixture, _ change: (inout AuthSearchUsersRequest) -> Void) async throws -> [String] {
        var request = AuthSearchUsersRequest()
        change(&request)
        return try await fixture.admin().searchUsers(request, CallOptions()).users.map(\.email)
    }

    private func audit(
        _ fixture: Fixture, _ change: (inout AuthSearchAuditEventsRequest) -> Void = { _ in }
    ) async throws -> AuthListAuditEventsResponse {
        var request = AuthSearchAuditEventsRequest()
        change(&request)
        return try await fixture.admin().searchAuditEvents(request, CallOptions())
    }

    @Test func theOperatorMakesTheFirstAdminWhoMakesTheNext() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let eve = try await fixture.member("eve@example.com")
        var session = try await fixture.signIn()
        #expect(try await grant("admin", to: ada.userID, fixture).roles == ["user", "admin"])
        #expect(try await grant("admin", to: ada.userID, fixture).roles == ["user", "admin"], "again is fine")
        session = try await fixture.refresh(session.refreshToken)
        #expect(fixture.tokens.roles == ["user", "admin"], "from the next access token on")
        var request = AuthGrantRoleRequest()
        request.userID = eve.userID
        request.role = "responder"
        _ = try await fixture.admin(ada.userID, session).grantRole(request, CallOptions())
        _ = try await fixture.signIn("eve@example.com")
        #expect(fixture.tokens.roles == ["user", "responder"])
        let granted = try await audit(fixture) { $0.event = "role_granted" }.events
        #expect(granted.map(\.detail).sorted() == ["admin", "responder"])
        #expect(granted.count { $0.actor == "operator" } == 1)
        #expect(granted.allSatisfy { !$0.actor.isEmpty && $0.actor != ada.userID && $0.subject != eve.userID })
    }

    @Test("ASVS 8.3.2: a role that is taken away is gone at once")
    func aRevokedRoleEndsSessions() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await grant("responder", to: ada.userID, fixture)
        let session = try await fixture.signIn()
        var request = AuthRevokeRoleRequest()
        request.userID = ada.userID
        request.role = "responder"
        #expect(try await fixture.admin().revokeRole(request, CallOptions()).roles == ["user"])
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID) == [session.sessionID])
        let again = try await fixture.signIn()
        #expect(fixture.tokens.roles == ["user"])
        _ = try await fixture.admin().revokeRole(request, CallOptions())
        #expect(try await fixture.isLive(again.sessionID), "what is not there is not taken away again")
    }

    @Test func aRoleThatNobodyAsksForIsATypingError() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        #expect(await refusal { _ = try await grant("respnder", to: ada.userID, fixture) } == "invalid_request")
        #expect(await refusal { _ = try await grant("admin", to: "usr_nobody", fixture) } == "user_not_found")
        var request = AuthRevokeRoleRequest()
        request.userID = ada.userID
        request.role = "user"
        #expect(await refusal { _ = try await fixture.admin().revokeRole(request, CallOptions()) } == "invalid_request")
    }

    @Test func nobodyLocksThemselvesOut() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await grant("admin", to: ada.userID, fixture)
        let admin = try await fixture.admin(ada.userID, fixture.signIn())
        var role = AuthRevokeRoleRequest()
        role.userID = ada.userID
        role.role = "admin"
        #expect(await refusal { _ = try await admin.revokeRole(role, CallOptions()) } == "own_account")
        var disable = AuthDisableUserRequest()
        disable.userID = ada.userID
        #expect(await refusal { _ = try await admin.disableUser(disable, CallOptions()) } == "own_account")
        #expect(try await fixture.operatorClient().disableUser(disable, CallOptions()).disabled)
    }

    @Test("ASVS 7.4.2: disabling an account ends its sessions, and the answer is that of a wrong password")
    func aDisabledUserIsOutAndLearnsNothing() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        var disable = AuthDisableUserRequest()
        disable.userID = ada.userID
        let account = try await fixture.admin().disableUser(disable, CallOptions())
        #expect(account.disabled && account.sessions == 0)
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "token_expired")
        #expect(await refusal { _ = try await fixture.signIn() } == "invalid_credentials")
        #expect(try await fixture.audit().suffix(2) == ["user_disabled", "authn_login_disabled"])
        // A new password by mail is no way around.
        try await fixture.requestReset("ada@example.com")
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: "a new password")
        #expect(await refusal { _ = try await fixture.signIn(password: "a new password") } == "invalid_credentials")
        var enable = AuthEnableUserRequest()
        enable.userID = ada.userID
        #expect(try await !fixture.admin().enableUser(enable, CallOptions()).disabled)
        _ = try await fixture.signIn(password: "a new password")
    }

    @Test func aSignInUnderWayDoesNotOutrunDisabling() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let store = fixture.handler.store
        let credentials = try #require(try await store.credentials(userID: ada.userID))
        let hash = try #require(credentials.passwordHash)
        let origin = Origin(address: "", userAgent: "", requestID: "r")
        _ = try await store.disable(ada.userID, by: .operator, origin)
        let late = NewSession(
            id: "ses_late", refreshToken: try OpaqueToken(.refresh), userID: ada.userID,
            roles: credentials.roles, proof: .password(hash, rehash: nil), authenticatedAt: fixture.clock.now)
        await #expect(throws: AuthError.invalidCredentials) { try await store.startSession(late, origin) }
    }

    @Test("ASVS 8.3.2: a sign-in under way does not outrun a role's end: no token keeps it")
    func aSignInUnderWayDoesNotOutrunARole() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await grant("admin", to: ada.userID, fixture)
        let store = fixture.handler.store
        let credentials = try #require(try await store.credentials(userID: ada.userID))
        let hash = try #require(credentials.passwordHash)
        let origin = Origin(address: "", userAgent: "", requestID: "r")
        _ = try await store.revokeRole("admin", of: ada.userID, by: .operator, origin)
        let late = NewSession(
            id: "ses_late", refreshToken: try OpaqueToken(.refresh), userID: ada.userID, roles: credentials.roles,
            proof: .password(hash, rehash: nil), authenticatedAt: fixture.clock.now)
        await #expect(throws: AuthError.invalidCredentials) { try await store.startSession(late, origin) }
    }

    @Test func accountsAreFoundByAddressNameRoleAndId() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member("ada@example.com")
        try await fixture.register("b_b@example.com", name: "Grace Hopper")
        try await fixture.register("bxb@example.com", name: "100% Bob")
        _ = try await grant("responder", to: ada.userID, fixture)
        #expect(try await search(fixture) { _ in } == ["ada@example.com", "b_b@example.com", "bxb@example.com"])
        #expect(try await search(fixture) { $0.query = "ADA@" } == ["ada@example.com"])
        #expect(try await search(fixture) { $0.query = "hopper" } == ["b_b@example.com"])
        #expect(try await search(fixture) { $0.query = "b_b" } == ["b_b@example.com"], "no wildcard of anybody's")
        #expect(try await search(fixture) { $0.query = "%" } == ["bxb@example.com"])
        #expect(try await search(fixture) { $0.query = ada.userID } == ["ada@example.com"])
        #expect(try await search(fixture) { $0.role = "responder" } == ["ada@example.com"])
        #expect(try await search(fixture) { $0.role = "respond" }.isEmpty)
        #expect(try await search(fixture) { $0.disabled = true }.isEmpty)
        _ = try await fixture.handler.store.disable(ada.userID, by: .operator, Origin(address: "", userAgent: "", requestID: "r"))
        #expect(try await search(fixture) { $0.disabled = true } == ["ada@example.com"])
        var get = AuthGetAccountRequest()
        get.userID = ada.userID
        let account = try await fixture.admin().getAccount(get, CallOptions())
        #expect(account.roles == ["user", "responder"] && account.disabled && account.emailVerified)
        get.userID = "usr_nobody"
        #expect(await refusal { _ = try await fixture.admin().getAccount(get, CallOptions()) } == "user_not_found")
    }

    @Test func pagesFollowEachOtherWithoutGapsOrRepeats() async throws {
        let fixture = try await Fixture()
        for index in 0..<7 { try await fixture.register("user\(index)@example.com") }
        var request = AuthSearchUsersRequest()
        request.pageSize = 3
        var pages: [[String]] = []
        repeat {
            let answer = try await fixture.admin().searchUsers(request, CallOptions())
            pages.append(answer.users.map(\.email))
            request.pageToken = answer.nextPageToken
        } while !request.pageToken.isEmpty
        #expect(pages.map(\.count) == [3, 3, 1])
        #expect(pages.flatMap { $0 } == (0..<7).map { "user\($0)@example.com" })
        request.pageToken = "usr_gone"
        #expect(await refusal { _ = try await fixture.admin().searchUsers(request, CallOptions()) } == "invalid_request")
        var events = AuthSearchAuditEventsRequest()
        events.pageSize = 2
        var ids: [String] = []
        repeat {
            let answer = try await fixture.admin().searchAuditEvents(events, CallOptions())
            ids += answer.events.map(\.eventID)
            events.pageToken = answer.nextPageToken
        } while !events.pageToken.isEmpty
        #expect(ids.count == 7 && Set(ids).count == 7, "all of one microsecond, each once")
    }

    @Test("ASVS 16.3.1: the audit trail answers by user, word and time")
    func theTrailIsSearched() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        fixture.clock.advance(by: .seconds(1))
        let ada = try await fixture.verify(fixture.mailedToken(.emailVerification))
        _ = try await fixture.member("eve@example.com")
        let noon = fixture.clock.now
        fixture.clock.advance(by: .seconds(10))
        _ = try await fixture.signIn()
        _ = await refusal { _ = try await fixture.signIn("eve@example.com", password: "wrong") }
        #expect(try await audit(fixture).events.count == 6)
        let ofAda = try await audit(fixture) { $0.userID = ada.userID }.events
        #expect(ofAda.map(\.event) == ["authn_login_success", "email_verified", "user_registered"])
        #expect(Set(ofAda.map(\.subject)).count == 1 && ofAda[0].subject.hasPrefix("sub_"))
        #expect(try await audit(fixture) { $0.event = "authn_login_fail" }.events.map(\.address) == ["192.0.2.1"])
        #expect(try await audit(fixture) { $0.until = (noon + .seconds(1)).message }.events.count == 4)
        #expect(try await audit(fixture) { $0.since = (noon + .seconds(1)).message }.events.count == 2)
    }

    @Test("ASVS 8.2.2: a user reads their own trail and nobody else's")
    func aUserReadsTheirOwnTrailAndNobodyElses() async throws {
        let fixture = try await Fixture()
        // Rows of one microsecond have no order.
        try await fixture.register("ada@example.com")
        fixture.clock.advance(by: .seconds(1))
        let ada = try await fixture.verify(fixture.mailedToken(.emailVerification))
        fixture.clock.advance(by: .seconds(1))
        _ = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        _ = try await fixture.signIn("eve@example.com")
        let account = try fixture.account(session, ada.userID)
        let events = try await account.listAuditEvents(AuthListAuditEventsRequest(), CallOptions()).events
        #expect(events.map(\.event) == ["authn_login_success", "email_verified", "user_registered"])
        #expect(events[0].sessionID == session.sessionID && events[0].userAgent == "agent")
    }

    @Test("ASVS 16.3.2: denials are in the trail, and nobody fills it with them")
    func denialsAreBounded() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let client = try await fixture.client(fixture.signIn(), ada.userID)
        var request = AuthRecordDenialRequest()
        request.method = "lockstep.auth.v1.UserAdminService/SearchUsers"
        for _ in 0..<(AuthPolicy.denialsPerHour + 5) { _ = try await client.recordDenial(request, CallOptions()) }
        let denials = try await audit(fixture) { $0.event = "authz_fail"; $0.pageSize = 100 }.events
        #expect(denials.count == AuthPolicy.denialsPerHour)
        #expect(denials.allSatisfy { $0.detail == request.method && $0.subject.hasPrefix("sub_") })
        fixture.clock.advance(by: .seconds(3601))
        _ = try await client.recordDenial(request, CallOptions())
        #expect(try await audit(fixture) { $0.event = "authz_fail"; $0.pageSize = 100 }.events.count == denials.count + 1)
    }

    @Test func onlyAdminsAndTheOperator() async throws {
        #expect(UserOperatorHandler.contract.methods.allSatisfy { $0.callers == ["operator"] && $0.exposure == .internal })
        #expect(UserAdminHandler.contract.methods.allSatisfy { $0.exposure == .admin(roles: ["admin"]) })
        let fixture = try await Fixture()
        let identity = UserIdentity(subject: "usr_1", sessionID: "ses_1", roles: ["user", "responder"], lane: .routine)
        let member = UserAdminServiceClient(
            try InProcessChannel(async: [UserAdminHandler(store: fixture.handler.store)], peer: "gateway", user: identity))
        #expect(await refusal { _ = try await member.searchUsers(.init(), CallOptions()) } == "role_missing")
        let gateway = UserOperatorServiceClient(
            try InProcessChannel(async: [UserOperatorHandler(store: fixture.handler.store)], peer: "gateway", user: identity))
        #expect(await refusal { _ = try await gateway.searchUsers(.init(), CallOptions()) } == "caller_not_allowed")
    }
}
