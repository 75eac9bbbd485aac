package import LibCrypto

/// Signs claims as a JWT with one key (RFC 7519).
package struct TokenSigner: Sendable {
    /// The name under which verifiers find the key.
    package let kid: String
    private let key: SignaturePrivateKey
    private let type: TokenType

    package init(kid: String, key: Ed25519.PrivateKey, type: TokenType) {
        self.init(kid: kid, key: .ed25519(key), type: type)
    }

    package init(kid: String, key: SignaturePrivateKey, type: TokenType) {
        self.kid = kid
        self.key = key
        self.type = type
    }

    /// The public half, for a key set.
    package var publicKey: JWK { JWK(kid: kid, publicKey: key.publicKey) }

    /// The compact token.
    ///
    /// - Throws: `JOSEError.malformed` when it would be longer than any verifier takes.
    package func sign(_ claims: Claims) throws(JOSEError) -> String {
        let token = try JWS.sign(StrictJSON.encode(claims), type: type, kid: kid, with: key)
        guard token.utf8.count <= JWS.maximumCount else {
            throw .malformed("the claims make a token longer than \(JWS.maximumCount) bytes")
        }
        return token
    }
}
