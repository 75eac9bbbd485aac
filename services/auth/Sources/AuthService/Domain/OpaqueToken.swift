internal import LibCrypto
package import ServiceKit

/// A random token that its holder alone knows: a prefix that says what it is for, 256 random bits, a checksum.
///
/// The checksum refuses garbage and tokens of another kind before the database is asked.
package struct OpaqueToken: Sendable {
    package enum Purpose: String, Sendable {
        case refresh = "lsr_"
        case verification = "lsv_"
        case passwordReset = "lsp_"
        /// From the address that an account is to have.
        case addressChange = "lsn_"
        /// From the address that it has.
        case addressApproval = "lso_"
        /// Of a sign-in that waits for its second step.
        case challenge = "lsc_"
        /// Of a machine client.
        case clientSecret = "lcs_"
    }

    package let purpose: Purpose
    package let text: Redacted<String>

    private static let secretLength = 32
    private static let checksumLength = 4

    /// A fresh one.
    package init(_ purpose: Purpose) throws {
        let secret = try RandomBytes.generate(Self.secretLength)
        let body = secret + (try Self.checksum(secret, purpose))
        self.purpose = purpose
        self.text = Redacted(purpose.rawValue + Base64URL.encode(body))
    }

    /// One that came from outside; nil when it cannot be a token of this purpose.
    package init?(_ text: String, _ purpose: Purpose) {
        guard text.hasPrefix(purpose.rawValue),
            let body = Base64URL.decode(String(text.dropFirst(purpose.rawValue.count))),
            body.count == Self.secretLength + Self.checksumLength,
            let checksum = try? Self.checksum(Array(body.prefix(Self.secretLength)), purpose),
            checksum == Array(body.suffix(Self.checksumLength))
        else { return nil }
        self.purpose = purpose
        self.text = Redacted(text)
    }

    /// What is stored and looked up. A plain digest is enough for 256 random bits.
    package var hash: [UInt8] {
        get throws { try SHA256.hash(bytes) }
    }

    /// Seals the token that follows this one, so that only who holds this one can read it back.
    package func seal(_ successor: OpaqueToken) throws -> [UInt8] {
        try AEAD.seal(successor.bytes, key: sealingKey(), aad: hash)
    }

    /// The token sealed by `seal`; nil when `sealed` is not this token's.
    package func openSuccessor(_ sealed: [UInt8]) throws -> OpaqueToken? {
        let bytes = try AEAD.open(sealed, key: sealingKey(), aad: hash)
        return OpaqueToken(String(decoding: bytes, as: UTF8.self), purpose)
    }

    private var bytes: [UInt8] { Array(text.exposed.utf8) }

    private func sealingKey() throws -> SymmetricKey {
        try SymmetricKey(
            bytes: HKDF.sha256(bytes, salt: [UInt8](), info: Array("lockstep refresh successor".utf8), count: 32))
    }

    private static func checksum(_ secret: [UInt8], _ purpose: Purpose) throws -> [UInt8] {
        Array(try SHA256.hash(Array(purpose.rawValue.utf8) + secret).prefix(checksumLength))
    }
}
