import JOSE

/// What a good access token says.
package struct AccessGrant: Sendable, Hashable {
    package let subject: String
    package let sessionID: String
    package let roles: [String]
    /// Seconds since 1970.
    package let issuedAt: Int64
    /// Seconds since 1970.
    package let expiresAt: Int64
    /// The OAuth client that the token was issued to; nil for a user who signed in.
    package var clientID: String?
}

/// Checks access tokens (RFC 9068) against the cached keys.
package struct AccessTokens: Sendable {
    package static let defaultIssuer = "https://lockstep.local"
    package static let defaultAudience = "lockstep"

    private let keys: KeySetCache
    private let issuer: String
    private let audience: String

    /// - Parameters:
    ///   - issuer: The `iss` that tokens must have.
    ///   - audience: What their `aud` must hold.
    package init(keys: KeySetCache, issuer: String = defaultIssuer, audience: String = defaultAudience) {
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
    }

    /// - Parameters:
    ///   - seconds: Since 1970, for the token's own times.
    ///   - now: For the pace of fetches.
    /// - Throws: `Problem` 401 for tokens that are not good, 503 while there are no keys.
    package func verify(
        _ token: String, seconds: Int64, now: ContinuousClock.Instant
    ) async throws(Problem) -> AccessGrant {
        guard let known = await loaded() else { throw .cannotCheckToken }
        do {
            return try grant(token, keys: known, seconds: seconds)
        } catch .unknownKey {
            guard let fresh = await keys.keysAfterUnknown(now: now) else { throw .invalidToken }
            do {
                return try grant(token, keys: fresh, seconds: seconds)
            } catch {
                throw Self.problem(of: error)
            }
        } catch {
            throw Self.problem(of: error)
        }
    }

    private func loaded() async -> JWKSet? {
        if let known = keys.keys { return known }
        return try? await keys.refresh()
    }

    private func grant(_ token: String, keys: JWKSet, seconds: Int64) throws(JOSEError) -> AccessGrant {
        let verifier = TokenVerifier(keys: keys, type: .accessToken, issuer: issuer, audience: audience)
        let claims = try verifier.verify(token, now: seconds)
        guard let session = claims.session, !session.isEmpty, !claims.subject.isEmpty else {
            throw .malformed("the token names no session")
        }
        return AccessGrant(
            subject: claims.subject, sessionID: session, roles: claims.roles, issuedAt: claims.issuedAt,
            expiresAt: claims.expiresAt, clientID: claims.client)
    }

    private static func problem(of error: JOSEError) -> Problem {
        error == .expired ? .expiredToken : .invalidToken
    }
}
