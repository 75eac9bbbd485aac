import ContractClients
import Contracts
import Logging
import RPCCore
import RPCInProcess
import SQL
import Synchronization
import TestSupport
import Testing

@testable import AuthService

/// What a stolen session, a factor that was only begun, an address on its way out and a deletion may not do.
@Suite(.everyEngine) struct AccountProtectionTests {
    @Test("NIST SP 800-63B-4 3.2.2, ASVS 6.1.1: a stolen session does not close the owner's app at sign-in")
    func aThiefClosesNoSignIn() async throws {
        let fixture = try await Fixture()
        let enrolled = try await Enrolment(fixture)
        #expect(CodeLimit.most + CodeLimit.mostInSessions == 100)
        fixture.clock.advance(by: .seconds(60))
        for round in 0..<(CodeLimit.most + CodeLimit.mostInSessions) {
            #expect(await refusal { try await enrolled.stepUp(enrolled.wrongCode()) } == "invalid_second_factor")
            if round % CodeLimit.burst == CodeLimit.burst - 1 { fixture.clock.advance(by: CodeLimit.pause) }
        }
        #expect(await refusal { try await enrolled.stepUp(enrolled.code()) } == "invalid_second_factor", "closed for sessions")
        _ = try await enrolled.signIn(enrolled.code())
        fixture.clock.advance(by: .seconds(TOTP.period))
        try await enrolled.stepUp(enrolled.code())
    }

    @Test("NIST SP 800-63B-4 3.2.2, ASVS 6.1.1: a stolen session does not close its owner's sign-in with the password")
    func aThiefClosesNoSignInWithThePassword() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        let account = try fixture.account(session, user.userID)
        func confirm(_ password: String) async -> String? {
            await refusal { _ = try await account.confirmPassword(.with { $0.currentPassword = password }, CallOptions()) }
        }
        for number in 1...2 * GuessLane.session.limit {
            #expect(await confirm("wrong") == "invalid_credentials")
            if number.isMultiple(of: GuessLane.burst) { fixture.clock.advance(by: GuessLane.longestPause) }
        }
        #expect(await confirm(Fixture.password) == "invalid_credentials", "closed for sessions")
        #expect(try await fixture.mails().map(\.template) == [.passwordLocked])
        _ = try await fixture.signIn()
        #expect(await confirm(Fixture.password) == nil, "a sign-in opens it again")
        // The right one begins the count anew: its owner is asked for it often.
        for number in 1...3 * GuessLane.burst {
            #expect(await confirm("wrong") == "invalid_credentials")
            if number % (GuessLane.burst - 1) == 0 { #expect(await confirm(Fixture.password) == nil) }
        }
    }

    @Test("ASVS 7.5.1: an admin without a second factor shows the password again")
    func anAdminWithoutAFactorShowsThePassword() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let eve = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        var request = AuthDisableUserRequest()
        request.userID = eve.userID
        let admin = try fixture.admin(user.userID, session)
        _ = try await admin.disableUser(request, CallOptions())
        fixture.clock.advance(by: .seconds(900))
        var enable = AuthEnableUserRequest()
        enable.userID = eve.userID
        #expect(await refusal { _ = try await admin.enableUser(enable, CallOptions()) } == "reauthentication_required")
        let account = try fixture.account(session, user.userID)
        var confirm = AuthConfirmPasswordRequest()
        confirm.currentPassword = "wrong"
        #expect(await refusal { _ = try await account.confirmPassword(confirm, CallOptions()) } == "invalid_credentials")
        #expect(await refusal { _ = try await admin.enableUser(enable, CallOptions()) } == "reauthentication_required")
        confirm.currentPassword = Fixture.password
        let answer = try await account.confirmPassword(confirm, CallOptions())
        #expect(answer.expiresAt == (fixture.clock.now + .seconds(900)).message)
        _ = try await admin.enableUser(enable, CallOptions())
        _ = try await fixture.refresh(session.refreshToken)
        #expect(fixture.tokens.newest.authTime == fixture.clock.now.microseconds / 1_000_000, "auth_time says so")
        #expect(fixture.tokens.newest.amr == ["pwd"])
        // With a factor the password is not enough.
        _ = try await Enrolment(fixture, user, session)
        fixture.clock.advance(by: .seconds(900))
        #expect(await refusal { _ = try await account.confirmPassword(confirm, CallOptions()) } == "step_up_required")
        #expect(await refusal { _ = try await admin.disableUser(request, CallOptions()) } == "step_up_required")
    }

    @Test("ASVS 6.1.1: a stolen session does not keep its owner from enrolling an app")
    func aThiefClosesNoEnrolment() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let factors = try fixture.factors(session, user.userID)
        for _ in 0..<CodeLimit.mostInSessions {
            var request = AuthStepUpRequest()
            request.code = "000000"
            #expect(await refusal { _ = try await factors.stepUp(request, CallOptions()) } == "invalid_second_factor")
            fixture.clock.advance(by: CodeLimit.pause)
        }
        _ = try await Enrolment(fixture, user, fixture.signIn())
    }

    @Test("ASVS 6.6.2: a factor that waits for its first code lapses after a quarter of an hour")
    func aWaitingFactorLapses() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let factors = try fixture.factors(session, user.userID)
        var create = AuthCreateFactorRequest()
        create.currentPassword = Fixture.password
        let made = try await factors.createFactor(create, CallOptions())
        var confirm = AuthConfirmFactorRequest()
        (confirm.factorID, confirm.code) = (made.factorID, "000000")
        fixture.clock.advance(by: .seconds(899))
        #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "invalid_second_factor")
        fixture.clock.advance(by: .seconds(1))
        #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "factor_not_found")
        let store = fixture.handler.store
        // The second is no session that lives: it may have ended since its call came.
        for (id, error) in [(session.sessionID, AuthError.wrongSecondFactor), ("ses_none", .sessionEnded)] {
            await #expect(throws: error) {
                _ = try await store.confirmFactor(
                    made.factorID, step: 1, codes: [], of: user.userID, keeping: id,
                    Origin(address: "", userAgent: "", requestID: "r"))
            }
        }
        fixture.clock.advance(by: .seconds(1))
        try await store.prune()
        #expect(try await store.factors(of: user.userID).isEmpty)
    }

    @Test("ASVS 6.4.3: no link to reset the password goes to an address that is being left")
    func noResetGoesToTheOldAddress() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        var change = AuthChangeAddressRequest()
        (change.email, change.currentPassword) = ("new@example.com", Fixture.password)
        _ = try await fixture.account(session, user.userID).changeAddress(change, CallOptions())
        let links = try await fixture.mails()
        let tokens = links.compactMap { $0.variables["token"] }
        try #require(tokens.count == 2)
        #expect(try await fixture.confirmAddress(tokens[0]) == "waiting")
        // A relay has read the outbox, the account moves, and only then is the token stored.
        try await fixture.requestReset("ada@example.com")
        let store = fixture.handler.store
        let taken = try await store.takeNotifications(limit: 20) { _ in .seconds(1) }
        let reset = try #require(taken.first { $0.kind == .passwordReset })
        #expect(reset.email == "ada@example.com")
        #expect(try await fixture.confirmAddress(tokens[1]) == "changed")
        let late = try OpaqueToken(.passwordReset)
        #expect(try await !store.store(late, for: reset, expiresAt: fixture.clock.now + .seconds(900)))
        #expect(await refusal { try await fixture.reset(late.text.exposed, to: "a new password") } == "invalid_token")
        // The mail of the change itself goes to an address that is nobody's any more, and carries no token.
        let mails = try await fixture.mails()
        #expect(mails.filter { $0.template == .passwordReset && $0.to == "ada@example.com" }.isEmpty)
    }

    @Test("GDPR 17, ASVS 14.2.7: Token is told of a deleted account, however often it takes, and once more when no token lives")
    func tokenIsToldOfADeletion() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let token = FakeTokenService()
        let relay = DepartureRelay(
            store: fixture.handler.store, token: TokenServiceClient(try InProcessChannel(async: [token], peer: "auth")),
            clock: fixture.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, random: { 0.5 })
        #expect(try await relay.relayDue() == 0)
        token.set(down: true)
        var request = AuthDeleteUserRequest()
        request.currentPassword = Fixture.password
        _ = try await fixture.account(session, user.userID).deleteUser(request, CallOptions())
        for _ in 0..<3 {
            #expect(try await relay.relayDue() == 1)
            #expect(try await relay.relayDue() == 0, "not at once again")
            fixture.clock.advance(by: .seconds(30))
        }
        #expect(token.forgotten.isEmpty)
        token.set(down: false)
        #expect(try await relay.relayDue() == 1)
        #expect(token.forgotten == [user.userID])
        fixture.clock.advance(by: AuthPolicy.longestAccessTokenLifetime - .seconds(1))
        #expect(try await relay.relayDue() == 0)
        fixture.clock.advance(by: .seconds(1))
        #expect(try await relay.relayDue() == 1)
        #expect(token.forgotten == [user.userID, user.userID])
        fixture.clock.advance(by: .seconds(86_400))
        #expect(try await relay.relayDue() == 0, "then nothing is kept of them")
        #expect(try await fixture.handler.store.nextDeparture() == nil)
    }

    @Test func theWorkerTellsTokenWithoutBeingAsked() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let token = FakeTokenService()
        let relay = DepartureRelay(
            store: fixture.handler.store, token: TokenServiceClient(try InProcessChannel(async: [token], peer: "auth")),
            clock: fixture.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, random: { 0.5 })
        let running = Task { await relay.run() }
        await fixture.clock.waitForSleeper()
        var request = AuthDeleteUserRequest()
        request.currentPassword = Fixture.password
        _ = try await fixture.account(session, user.userID).deleteUser(request, CallOptions())
        await token.waitForOne()
        #expect(token.forgotten == [user.userID])
        running.cancel()
        await running.value
    }
}

/// Token, as far as auth asks it.
private final class FakeTokenService: TokenServiceHandler {
    private struct State {
        var forgotten: [String] = []
        var isDown = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var forgotten: [String] { state.withLock { $0.forgotten } }

    func set(down: Bool) { state.withLock { $0.isDown = down } }

    /// Returns once somebody was forgotten.
    func waitForOne() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.forgotten.isEmpty { state.waiting.append(continuation) }
                return !state.forgotten.isEmpty
            }
            if isThere { continuation.resume() }
        }
    }

    func forgetUser(_ request: TokenForgetUserRequest, _ context: CallContext) async throws -> TokenForgetUserResponse {
        let waiting = try state.withLock { state in
            if state.isDown { throw RPCError(.unavailable, "Down.", processed: .no) }
            state.forgotten.append(request.userID)
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
        return TokenForgetUserResponse()
    }

    private static let notAsked = RPCError(.unimplemented, "Not asked for by auth.")

    func listProviders(_ request: TokenListProvidersRequest, _ context: CallContext) async throws -> TokenListProvidersResponse {
        throw Self.notAsked
    }

    func createConnection(
        _ request: TokenCreateConnectionRequest, _ context: CallContext
    ) async throws -> TokenCreateConnectionResponse {
        throw Self.notAsked
    }

    func listConnections(
        _ request: TokenListConnectionsRequest, _ context: CallContext
    ) async throws -> TokenListConnectionsResponse {
        throw Self.notAsked
    }

    func completeConnection(_ request: TokenCompleteConnectionRequest, _ context: CallContext) async throws -> TokenConnection {
        throw Self.notAsked
    }

    func getAccessToken(_ request: TokenGetAccessTokenRequest, _ context: CallContext) async throws -> TokenGetAccessTokenResponse {
        throw Self.notAsked
    }

    func deleteConnection(
        _ request: TokenDeleteConnectionRequest, _ context: CallContext
    ) async throws -> TokenDeleteConnectionResponse {
        throw Self.notAsked
    }
}
