import ContractClients
import Contracts
import RPCCore
import Testing

@testable import AuthService

/// A user with an authenticator app, for tests of what comes after enrolling.
struct Enrolment: Sendable {
    let fixture: Fixture
    let user: AuthUser
    /// In which the app was enrolled.
    let session: AuthSessionTokens
    let factors: FactorServiceClient
    let recoveryCodes: [String]
    private let secret: [UInt8]

    init(_ fixture: Fixture, _ email: String = "ada@example.com") async throws {
        try await self.init(fixture, fixture.member(email), fixture.signIn(email))
    }

    init(_ fixture: Fixture, _ user: AuthUser, _ session: AuthSessionTokens) async throws {
        self.fixture = fixture
        self.user = user
        self.session = session
        factors = try fixture.factors(session, user.userID)
        var create = AuthCreateFactorRequest()
        create.currentPassword = Fixture.password
        create.name = "phone"
        let created = try await factors.createFactor(create, CallOptions())
        secret = Self.decoded(created.secret)
        var confirm = AuthConfirmFactorRequest()
        confirm.factorID = created.factorID
        confirm.code = try TOTP.code(secret, step: TOTP.step(at: fixture.clock.now))
        recoveryCodes = try await factors.confirmFactor(confirm, CallOptions()).recoveryCodes
    }

    /// The app's present code.
    func code() throws -> String { try TOTP.code(secret, step: TOTP.step(at: fixture.clock.now)) }

    /// One that is not good now.
    func wrongCode() throws -> String {
        let good = try (-1...1).map { try TOTP.code(secret, step: TOTP.step(at: fixture.clock.now) + $0) }
        return try #require(["000000", "111111", "222222", "333333"].first { !good.contains($0) })
    }

    func signIn(_ code: String) async throws -> AuthSessionTokens {
        var request = AuthCompleteSessionRequest()
        request.secondFactorToken = try await fixture.signIn(user.email).secondFactorToken
        request.code = code
        return try await fixture.factors().completeSession(request, CallOptions())
    }

    func stepUp(_ code: String) async throws {
        var request = AuthStepUpRequest()
        request.code = code
        _ = try await factors.stepUp(request, CallOptions())
    }

    /// Base32 without padding.
    private static func decoded(_ text: String) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let bits = text.flatMap { character in
            let value = alphabet.firstIndex(of: character) ?? 0
            return (0..<5).map { value >> (4 - $0) & 1 }
        }
        return (0..<(bits.count / 8)).map { byte in bits[(8 * byte)..<(8 * byte + 8)].reduce(UInt8(0)) { $0 << 1 | UInt8($1) } }
    }
}
