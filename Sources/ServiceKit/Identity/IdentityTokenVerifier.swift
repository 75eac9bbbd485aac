import JOSE
package import RPCCore

/// Verifies who the end user is, with the public key of the gateway's identity certificate.
package struct IdentityTokenVerifier: UserIdentityVerifier {
    private let verifier: TokenVerifier
    private let clock: any WallClock

    /// - Parameters:
    ///   - certificateFile: PEM: the gateway's identity certificate.
    ///   - authorityFile: PEM: the authority that must have issued it.
    /// - Throws: `IdentityKeyError` that names the file.
    package init(
        certificateFile: String, authorityFile: String, clock: any WallClock = SystemWallClock()
    ) throws(IdentityKeyError) {
        let certificate = try IdentityCertificate(
            file: certificateFile, authorityFile: authorityFile, now: clock.seconds)
        guard let kid = try? JWK.thumbprint(of: certificate.key),
            let keys = try? JWKSet([JWK(kid: kid, publicKey: certificate.key)])
        else { throw IdentityKeyError(description: "\(certificateFile) cannot be used: its key has no thumbprint") }
        self.verifier = TokenVerifier(
            keys: keys, type: IdentityToken.type, issuer: certificate.issuer.uri, audience: IdentityToken.audience,
            skew: IdentityToken.skew)
        self.clock = clock
    }

    package func verify(token: String) throws -> UserIdentity {
        let now = clock.seconds
        let claims: Claims
        do {
            claims = try verifier.verify(token, now: now)
        } catch {
            throw Self.refusal(error.description)
        }
        let (lifetime, overflow) = claims.expiresAt.subtractingReportingOverflow(claims.issuedAt)
        guard !overflow, (0...IdentityToken.maximumLifetime).contains(lifetime) else {
            throw Self.refusal("it lives longer than \(IdentityToken.maximumLifetime) s")
        }
        guard let session = claims.session, !session.isEmpty, !claims.subject.isEmpty else {
            throw Self.refusal("it names no user or no session")
        }
        return UserIdentity(
            subject: claims.subject, sessionID: session, roles: claims.roles,
            lane: claims.lane == IdentityToken.emergencyLane ? .emergency : .routine,
            validUntil: .now.advanced(by: .seconds(max(0, claims.expiresAt - now))))
    }

    private static func refusal(_ reason: String) -> RPCError {
        RPCError(
            .unauthenticated, "The user's identity token is not valid: \(reason).", reason: "unauthenticated",
            processed: .no)
    }
}
