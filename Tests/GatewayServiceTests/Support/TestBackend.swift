import JOSE
import LibCrypto
import Logging
import RPCCore
import RPCInProcess
import ServiceLifecycle

@testable import GatewayService

/// The gateway's own half, over services in memory.
struct TestBackend: Sendable {
    let auth = FakeAuth()
    let oauth = FakeOAuth()
    let authChannel: Switch
    let encryptionChannel: Switch
    let backend: GatewayBackend
    let time = ManualTime()
    private let key: Ed25519.PrivateKey

    init(_ settings: GatewayBackend.Settings = TestBackend.unlimited) throws {
        let key = try Ed25519.PrivateKey()
        let identity = PlainIdentity()
        func channel(sync: [any SyncServiceHandler], async: [any AsyncServiceHandler]) throws -> Switch {
            Switch(
                try InProcessChannel(sync: sync + [FakeHealth()], async: async, peer: "gateway", verifier: identity))
        }
        self.key = key
        authChannel = try channel(sync: [], async: [auth, oauth])
        encryptionChannel = try channel(sync: [FakeJWT(key: JWK(kid: "k1", publicKey: key.publicKey))], async: [])
        let time = time
        backend = try GatewayBackend(
            channels: [
                "auth": authChannel, "encryption": encryptionChannel,
                "token": try channel(sync: [], async: [FakeToken()]),
            ], signer: identity, settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            time: { time.time })
    }

    static var unlimited: GatewayBackend.Settings {
        var settings = GatewayBackend.Settings()
        settings.rateScale = .off
        return settings
    }

    /// An access token as auth would have it signed.
    func accessToken(
        session: String = "ses_1", subject: String = "usr_1", life: Int64 = 900, roles: [String] = [],
        type: TokenType = .accessToken, key: Ed25519.PrivateKey? = nil, issuer: String = AccessTokens.defaultIssuer,
        audience: String = AccessTokens.defaultAudience, client: String? = nil
    ) throws -> String {
        try TokenSigner(kid: "k1", key: key ?? self.key, type: type).sign(
            Claims(
                issuer: issuer, subject: subject, audience: [audience],
                expiresAt: time.time.seconds + life, notBefore: nil, issuedAt: time.time.seconds, id: "j",
                session: session, roles: roles, lane: nil, client: client))
    }
}
