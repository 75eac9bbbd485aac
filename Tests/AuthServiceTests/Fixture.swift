import ContractClients
import Contracts
import Logging
import RPCCore
import RPCInProcess
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Auth over a real database, with the services that it calls in memory. One for each test.
final class Fixture: Sendable {
    let directory: TemporaryDirectory
    let clock = ManualClock()
    let log = CallLog()
    let email = FakeEmail()
    let passwords: FakePasswords
    let tokens: FakeTokens
    let cipher = FakeCipher()
    let url: String
    let database: Database
    let handler: AuthHandler
    let relay: NotificationRelay

    static let password = "correct horse battery"

    /// Auth forwards the user's token to the services that it calls; whose it is is the transport's business.
    private static let forwarded = UserIdentity(subject: "usr_1", sessionID: "ses_1", roles: [], lane: .routine)

    init(_ change: (inout AuthPolicy) -> Void = { _ in }) async throws {
        directory = try TemporaryDirectory()
        passwords = FakePasswords(log: log)
        tokens = FakeTokens(log: log)
        var policy = AuthPolicy()
        change(&policy)
        url = try await Engine.current.freshURL(directory.path("auth.sqlite"))
        database = try await Database.open(url: url)
        (handler, relay) = try Self.assemble(database, policy, clock, passwords, tokens, email, cipher)
        try await handler.store.prepare()
        _ = try await handler.passwords.dummyHash()
        _ = log.take()
    }

    /// A second auth process on the same database.
    func secondProcess() async throws -> (handler: AuthHandler, relay: NotificationRelay) {
        let database = try await Database.open(url: url)
        return try Self.assemble(database, handler.policy, clock, passwords, tokens, email, cipher)
    }

    private static func assemble(
        _ database: Database, _ policy: AuthPolicy, _ clock: ManualClock, _ passwords: FakePasswords,
        _ tokens: FakeTokens, _ email: FakeEmail, _ cipher: FakeCipher
    ) throws -> (AuthHandler, NotificationRelay) {
        let encryption = try InProcessChannel(
            sync: [passwords, tokens], peer: "auth", user: forwarded)
        let mail = try InProcessChannel(async: [email], peer: "auth")
        let store = AuthStore(database: database, policy: policy, clock: clock)
        let handler = AuthHandler(
            store: store, passwords: Passwords(client: PasswordServiceClient(encryption)),
            accessTokens: AccessTokens(client: JWTServiceClient(encryption), policy: policy),
            factors: SecondFactors(
                store: store, cipher: FactorCipher(client: EncryptionServiceClient(cipher), key: policy.factorKey)))
        let relay = NotificationRelay(
            store: store, mailer: Mailer(client: EmailServiceClient(mail)), clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, random: { 0.5 })
        return (handler, relay)
    }

    /// A client of the gateway's, with or without a signed-in user.
    func client(_ session: AuthSessionTokens? = nil, _ user: String = "", handler: AuthHandler? = nil) throws
        -> AuthServiceClient
    {
        let identity = session.map {
            UserIdentity(subject: user, sessionID: $0.sessionID, roles: ["user"], lane: .routine)
        }
        return AuthServiceClient(
            try InProcessChannel(async: [handler ?? self.handler], peer: "gateway", user: identity))
    }

    /// The methods of admins, called by a machine client with the scope; or by a user in a session.
    func admin(_ user: String = "cli_admin", _ session: AuthSessionTokens? = nil) throws -> UserAdminServiceClient {
        let identity = UserIdentity(
            subject: user, sessionID: session?.sessionID ?? "clt_admin", roles: ["user", "admin"], lane: .routine)
        return UserAdminServiceClient(
            try InProcessChannel(async: [UserAdminHandler(store: handler.store)], peer: "gateway", user: identity))
    }

    /// The methods of the operator.
    func operatorClient() throws -> UserOperatorServiceClient {
        UserOperatorServiceClient(
            try InProcessChannel(async: [UserOperatorHandler(store: handler.store)], peer: "operator"))
    }

    /// The methods of passkeys, with or without a signed-in user.
    func passkeys(_ session: AuthSessionTokens? = nil, _ user: String = "", handler: AuthHandler? = nil) throws -> PasskeyServiceClient {
        let identity = session.map {
            UserIdentity(subject: user, sessionID: $0.sessionID, roles: ["user"], lane: .routine)
        }
        return PasskeyServiceClient(
            try InProcessChannel(async: [PasskeyHandler(auth: handler ?? self.handler)], peer: "gateway", user: identity))
    }

    /// What machine clients ask for.
    func oauth(handler: AuthHandler? = nil) throws -> OAuthServiceClient {
        OAuthServiceClient(
            try InProcessChannel(async: [OAuthHandler(auth: handler ?? self.handler)], peer: "gateway"))
    }

    /// The operator's methods for machine clients.
    func clients() throws -> ClientOperatorServiceClient {
        ClientOperatorServiceClient(
            try InProcessChannel(async: [ClientOperatorHandler(store: handler.store)], peer: "operator"))
    }

    /// The methods of a user's own account.
    func account(_ session: AuthSessionTokens, _ user: String) throws -> AccountServiceClient {
        let identity = UserIdentity(subject: user, sessionID: session.sessionID, roles: ["user"], lane: .routine)
        return AccountServiceClient(
            try InProcessChannel(async: [AccountHandler(auth: handler)], peer: "gateway", user: identity))
    }

    func confirmAddress(_ token: String) async throws -> String {
        var request = AuthConfirmAddressRequest()
        request.token = token
        let client = AccountServiceClient(
            try InProcessChannel(async: [AccountHandler(auth: handler)], peer: "gateway"))
        return try await client.confirmAddress(request, CallOptions()).status
    }

    /// The methods of second factors, with or without a signed-in user.
    func factors(
        _ session: AuthSessionTokens? = nil, _ user: String = "", handler: AuthHandler? = nil
    ) throws -> FactorServiceClient {
        let identity = session.map {
            UserIdentity(subject: user, sessionID: $0.sessionID, roles: ["user"], lane: .routine)
        }
        return FactorServiceClient(
            try InProcessChannel(
                async: [FactorHandler(auth: handler ?? self.handler)], peer: "gateway", user: identity))
    }

    // MARK: Steps

    func register(
        _ email: String, password: String = Fixture.password, name: String = "Ada", from address: String = ""
    ) async throws {
        var request = AuthRegisterRequest()
        request.email = email
        request.password = password
        request.name = name
        #expect(try await client().register(request, options(from: address)).status == "verification_sent")
    }

    func resend(_ email: String, from address: String = "") async throws {
        var request = AuthResendVerificationRequest()
        request.email = email
        #expect(try await client().resendVerification(request, options(from: address)).status == "verification_sent")
    }

    func requestReset(_ email: String, from address: String = "") async throws {
        var request = AuthRequestPasswordResetRequest()
        request.email = email
        #expect(try await client().requestPasswordReset(request, options(from: address)).status == "reset_sent")
    }

    private func options(from address: String, agent: String = "") -> CallOptions {
        var options = CallOptions()
        options.origin = ClientOrigin(address: address, userAgent: agent)
        return options
    }

    /// Relays what is due and returns the mails of it.
    func mails() async throws -> [EmailSendRequest] {
        try await relay.relayDue()
        return email.take()
    }

    /// Relays and returns the token of the only mail of this kind.
    func mailedToken(_ template: EmailTemplate) async throws -> String {
        let mails = try await mails().filter { $0.template == template }
        try #require(mails.count == 1)
        return try #require(mails[0].variables["token"])
    }

    @discardableResult
    func verify(_ token: String) async throws -> AuthUser {
        var request = AuthVerifyEmailRequest()
        request.token = token
        return try await client().verifyEmail(request, CallOptions())
    }

    /// Registers and confirms.
    func member(_ email: String = "ada@example.com") async throws -> AuthUser {
        try await register(email)
        return try await verify(mailedToken(.emailVerification))
    }

    func signIn(
        _ email: String = "ada@example.com", password: String = Fixture.password, agent: String = "agent",
        from address: String = "192.0.2.1"
    ) async throws -> AuthSessionTokens {
        var request = AuthCreateSessionRequest()
        request.email = email
        request.password = password
        return try await client().createSession(request, options(from: address, agent: agent))
    }

    func reset(_ token: String, to password: String) async throws {
        var request = AuthResetPasswordRequest()
        request.token = token
        request.newPassword = password
        _ = try await client().resetPassword(request, CallOptions())
    }

    func refresh(_ token: String) async throws -> AuthSessionTokens {
        var request = AuthRefreshTokensRequest()
        request.refreshToken = token
        return try await client().refreshTokens(request, CallOptions())
    }

    func isLive(_ session: String) async throws -> Bool {
        var request = AuthCheckSessionRequest()
        request.sessionID = session
        return try await client().checkSession(request, CallOptions()).live
    }

    /// The events of the audit trail, in order of time.
    func audit() async throws -> [String] {
        let sql = "SELECT event FROM audit_events ORDER BY at, \(Engine.current.writingOrder)"
        return try await database.read {
            try $0.query(sql) { try $0.get("event", as: String.self) }
        }
    }
}

/// The stable word of the error that `body` throws; nil when it throws none.
func refusal(_ body: () async throws -> Void) async -> String? {
    do {
        try await body()
        return nil
    } catch let error as RPCError {
        return error.reason
    } catch {
        return "\(error)"
    }
}
