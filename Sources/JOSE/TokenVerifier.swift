/// Verifies JWTs of one type, issuer and audience against a key set. A value: a new key set makes a new verifier.
package struct TokenVerifier: Sendable {
    /// The largest clock skew that may be allowed, in seconds.
    package static let maximumSkew: Int64 = 60

    package let keys: JWKSet
    package let type: TokenType
    package let issuer: String
    package let audience: String
    /// How far the clocks of issuer and verifier may differ, in seconds.
    package let skew: Int64

    /// `skew` is held between 0 and `maximumSkew`.
    package init(keys: JWKSet, type: TokenType, issuer: String, audience: String, skew: Int64 = 5) {
        self.keys = keys
        self.type = type
        self.issuer = issuer
        self.audience = audience
        self.skew = min(max(skew, 0), Self.maximumSkew)
    }

    /// The claims of a token that is whole, ours, meant for us and alive at `now` (seconds since 1970).
    ///
    /// The signature is checked before a claim is read.
    ///
    /// - Parameter using: Told the `kid` of the key with which that is done, whatever comes of it.
    package func verify(
        _ compact: String, now: Int64, using: (_ kid: String) -> Void = { _ in }
    ) throws(JOSEError) -> Claims {
        let payload = try JWS.verify(compact, type: type) { kid throws(JOSEError) in
            guard let kid else { throw .malformed("its header has no kid") }
            guard let key = keys[kid] else { throw .unknownKey(kid) }
            using(kid)
            return key.publicKey
        }
        let claims = try StrictJSON.decode(Claims.self, from: payload, what: "payload")
        try check(claims, now: now)
        return claims
    }

    private func check(_ claims: Claims, now: Int64) throws(JOSEError) {
        guard claims.issuer == issuer else { throw .wrongIssuer }
        guard claims.audience.contains(audience) else { throw .wrongAudience }
        guard claims.expiresAt > now.saturatingSubtract(skew) else { throw .expired }
        guard max(claims.notBefore ?? .min, claims.issuedAt) <= now.saturatingAdd(skew) else { throw .notYetValid }
    }
}

extension Int64 {
    fileprivate func saturatingAdd(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    fileprivate func saturatingSubtract(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? .min : difference
    }
}
