package import FoundationEssentials
package import LibCrypto

/// The header members that this module acts on. `jku`, `jwk`, `x5u` and `x5c` are not read: keys come from the
/// verifier's own set, never from the token (RFC 8725 section 3.10).
private struct Header: Codable {
    var alg: String
    var typ: String?
    var kid: String?
    /// Any content is refused, so its shape does not matter.
    var crit: Presence?

    struct Presence: Codable {
        init(from decoder: any Decoder) throws {}
        func encode(to encoder: any Encoder) throws {}
    }
}

/// Compact JWS (RFC 7515 section 7.1) with EdDSA over Ed25519 (RFC 8037) or ES256 (RFC 7518 section 3.4), and nothing else.
package enum JWS {
    /// The longest token that is looked at, in bytes.
    package static let maximumCount = 8 << 10

    /// The compact form of `payload`.
    package static func sign(
        _ payload: some ContiguousBytes, type: TokenType?, kid: String?, with key: SignaturePrivateKey
    ) throws(JOSEError) -> String {
        let header = try StrictJSON.encode(Header(alg: key.algorithm.rawValue, typ: type?.rawValue, kid: kid))
        let input = Base64URL.encode(header) + "." + Base64URL.encode(payload)
        guard let signature = try? key.signature(for: Array(input.utf8)) else { throw .signingFailed }
        return input + "." + Base64URL.encode(signature)
    }

    /// The same with Ed25519.
    package static func sign(
        _ payload: some ContiguousBytes, type: TokenType?, kid: String?, with key: Ed25519.PrivateKey
    ) throws(JOSEError) -> String {
        try sign(payload, type: type, kid: kid, with: .ed25519(key))
    }

    /// The payload of a compact JWS, after every check of its header and its signature.
    ///
    /// - Parameters:
    ///   - type: the `typ` that the header must have; nil accepts any, for protocols that have none.
    ///   - key: finds the key of a `kid`, an opaque string that is compared and never interpreted. The key says which
    ///     algorithm it is for; a header that says another is refused.
    package static func verify(
        _ compact: String, type: TokenType?, key: (String?) throws(JOSEError) -> SignaturePublicKey
    ) throws(JOSEError) -> [UInt8] {
        guard compact.utf8.count <= maximumCount else { throw .malformed("it is longer than \(maximumCount) bytes") }
        let parts = compact.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("it does not have three parts") }
        let header = try header(part(parts[0], "header"), type: type)
        let payload = try part(parts[1], "payload")
        let signature = try part(parts[2], "signature")
        let input = Array(compact.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        let key = try key(header.kid)
        guard header.alg == key.algorithm.rawValue else { throw .wrongAlgorithm }
        guard key.isValidSignature(signature, for: input) else { throw .badSignature }
        return payload
    }

    private static func part(_ text: Substring, _ what: String) throws(JOSEError) -> [UInt8] {
        guard let bytes = Base64URL.decode(text) else { throw .malformed("its \(what) is not canonical base64url") }
        return bytes
    }

    private static func header(_ bytes: [UInt8], type: TokenType?) throws(JOSEError) -> Header {
        let header = try StrictJSON.decode(Header.self, from: bytes, what: "header")
        guard SignatureAlgorithm(rawValue: header.alg) != nil else { throw .wrongAlgorithm }
        guard header.crit == nil else { throw .criticalExtension }
        if let type, !type.matches(header.typ) { throw .wrongType }
        return header
    }
}
