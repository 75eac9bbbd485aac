package import JOSE
import LibCrypto
package import RPCCore

/// Signs access tokens, verifies them, and publishes the public keys. Each operation asks the policy first.
package struct TokenAuthority: Sendable {
    /// The longest life of a token, in seconds.
    package static let maximumLifetime: UInt32 = 3600
    /// The life of a token when its request says none, in seconds.
    package static let defaultLifetime: UInt32 = 900
    /// The length of a `jti` in bytes.
    private static let idCount = 16

    /// What the caller says of a token.
    package struct Request: Sendable {
        package var subject: String
        package var audience: String
        package var session: String?
        package var roles: [String]
        /// Seconds; 0 for the default.
        package var lifetime: UInt32
        /// How, how well and when the subject was authenticated.
        package var methods: [String] = []
        package var level: String?
        package var authenticatedAt: Int64?
        /// The OAuth client that the token is for.
        package var client: String?
        package var scope: String?

        package init(subject: String, audience: String, session: String?, roles: [String], lifetime: UInt32) {
            self.subject = subject
            self.audience = audience
            self.session = session
            self.roles = roles
            self.lifetime = lifetime
        }
    }

    let keeper: KeyringKeeper
    private let policy: KeyPolicy
    private let issuer: String
    private let skew: Int64
    private let clock: MicrosecondClock

    /// - Parameter skew: How far clocks may differ, in seconds.
    package init(
        keeper: KeyringKeeper, policy: KeyPolicy, issuer: String, skew: Int64,
        clock: @escaping MicrosecondClock = systemClock
    ) {
        self.keeper = keeper
        self.policy = policy
        self.issuer = issuer
        self.skew = min(max(skew, 0), TokenVerifier.maximumSkew)
        self.clock = clock
    }

    /// A token signed by the key's primary version, the second at which it expires, and that version.
    package func sign(
        _ request: Request, key name: String, caller: PeerIdentity
    ) throws(EncryptionError) -> (token: String, expiresAt: Int64, version: UInt32) {
        try policy.check(caller, .sign, name)
        guard let key = try keeper.keyring[name]?.usable() else {
            throw keeper.isStale ? .keyringStale : .unknownKey(name)
        }
        let now = clock()
        let version = key.primary(at: now)
        try version.checkActive(of: key)
        guard case .sign(let secret, let kid) = version.material else {
            throw .wrongUsage(key: name, expected: .sign)
        }
        let claims = try claims(request, now: now / 1_000_000)
        let signer = TokenSigner(kid: kid, key: secret, type: .accessToken)
        guard let token = try? signer.sign(claims) else { throw .cryptoFailed }
        return (token, claims.expiresAt, version.number)
    }

    /// The claims of a token that one of the keys which `caller` may verify with has signed for `audience`.
    ///
    /// - Parameter requestID: The call that asks, for the audit log.
    package func verify(
        _ token: String, audience: String, caller: PeerIdentity, requestID: String = ""
    ) throws(EncryptionError) -> Claims {
        var (kid, failed): (String?, Int) = (nil, 1)
        defer { if let kid { tellOfUse(kid, failed: failed, caller: caller, requestID: requestID) } }
        let verifier = TokenVerifier(
            keys: try keys(for: .verify, caller: caller), type: .accessToken, issuer: issuer, audience: audience,
            skew: skew)
        do {
            let claims = try verifier.verify(token, now: clock() / 1_000_000) { kid = $0 }
            failed = 0
            return claims
        } catch .unknownKey where keeper.mayMissSigningKeys {
            throw .keyringStale
        } catch {
            throw .invalidToken("The token is not accepted: \(error).", expired: error == .expired)
        }
    }

    private func tellOfUse(_ kid: String, failed: Int, caller: PeerIdentity, requestID: String) {
        guard keeper.auditsUses else { return }
        for key in keeper.keyring.signingKeys where policy.allows(caller, .verify, key.name) {
            guard let version = key.versions.first(where: { $0.material.kid == kid }) else { continue }
            return keeper.tell(
                .verify, key.name, version: version.number, failed: failed, actor: caller.service, requestID: requestID)
        }
    }

    /// The public keys: those that sign, those that will, and those whose last token may still live.
    package func publicKeys(caller: PeerIdentity) throws(EncryptionError) -> JWKSet {
        // Whoever keeps them takes them for all there are.
        guard !keeper.mayMissSigningKeys else { throw .keyringStale }
        return try keys(for: .publish, caller: caller)
    }

    private func claims(_ request: Request, now: Int64) throws(EncryptionError) -> Claims {
        guard request.lifetime <= Self.maximumLifetime else { throw .lifetime(maximum: Self.maximumLifetime) }
        let lifetime = request.lifetime == 0 ? Self.defaultLifetime : request.lifetime
        guard let id = try? RandomBytes.generate(Self.idCount) else { throw .cryptoFailed }
        return Claims(
            issuer: issuer, subject: request.subject, audience: [request.audience],
            expiresAt: now + Int64(lifetime), notBefore: now, issuedAt: now, id: Base64URL.encode(id),
            session: request.session, roles: request.roles, methods: request.methods, level: request.level,
            authenticatedAt: request.authenticatedAt, client: request.client, scope: request.scope)
    }

    private func keys(for operation: KeyOperation, caller: PeerIdentity) throws(EncryptionError) -> JWKSet {
        let granted = keeper.keyring.signingKeys.filter { policy.allows(caller, operation, $0.name) }
        guard !granted.isEmpty else {
            throw .denied(caller: caller.service, key: KeyPolicy.anyKey, operation: operation)
        }
        let now = clock()
        // One key may have two names: then it is one key.
        var kids: Set<String> = []
        let keys = granted.flatMap { live($0, now: now) }.filter { kids.insert($0.kid).inserted }
        guard let set = try? JWKSet(keys) else { throw .cryptoFailed }
        return set
    }

    /// Those of a key that may be used. A version is retired when the next one becomes active; its tokens live on for
    /// `maximumLifetime` at most.
    private func live(_ key: NamedKey, now: Int64) -> [JWK] {
        guard key.state == .enabled else { return [] }
        let grace = (Int64(Self.maximumLifetime) + TokenVerifier.maximumSkew) * 1_000_000
        let retirements = key.versions.dropFirst().map(\.activeAt) + [Int64.max - grace]
        return zip(key.versions, retirements).compactMap { version, retiredAt in
            guard now < retiredAt + grace, version.number >= key.settings.minDecryption,
                case .sign(let secret, let kid) = version.material
            else { return nil }
            return JWK(kid: kid, publicKey: secret.publicKey)
        }
    }
}
