package import FoundationEssentials
package import LibCrypto

/// A public Ed25519 key with its name (RFC 7517, RFC 8037 section 2).
package struct JWK: Equatable, Sendable {
    /// Opaque: compared byte by byte, never interpreted.
    package let kid: String
    package let publicKey: Ed25519.PublicKey

    package init(kid: String, publicKey: Ed25519.PublicKey) {
        self.kid = kid
        self.publicKey = publicKey
    }

    /// The key's thumbprint (RFC 7638, RFC 8037 appendix A.3): a name that no other key can have.
    package static func thumbprint(of key: Ed25519.PublicKey) throws(CryptoError) -> String {
        let x = Base64URL.encode(key.rawRepresentation)
        return Base64URL.encode(try SHA256.hash(Array(#"{"crv":"Ed25519","kty":"OKP","x":"\#(x)"}"#.utf8)))
    }
}

/// An immutable set of public keys, as `/.well-known/jwks.json` shows it.
package struct JWKSet: Equatable, Sendable {
    /// The longest document that is looked at, in bytes.
    package static let maximumCount = 64 << 10

    /// The keys in their given order.
    package let keys: [JWK]
    private let byID: [String: JWK]

    /// - Throws: `JOSEError.invalidKeySet` when two keys have one `kid`.
    package init(_ keys: [JWK]) throws(JOSEError) {
        var byID: [String: JWK] = [:]
        for key in keys where byID.updateValue(key, forKey: key.kid) != nil {
            throw .invalidKeySet("two keys have the kid \(key.kid)")
        }
        self.keys = keys
        self.byID = byID
    }

    /// The set of a JSON document. Keys of other kinds, uses or algorithms are passed over (RFC 7517 section 5).
    package init(json: some ContiguousBytes) throws(JOSEError) {
        let bytes = json.withUnsafeBytes { Array($0.prefix(Self.maximumCount + 1)) }
        guard bytes.count <= Self.maximumCount else { throw .invalidKeySet("longer than \(Self.maximumCount) bytes") }
        let document: Document
        do {
            document = try StrictJSON.decode(Document.self, from: bytes, what: "key set")
        } catch {
            throw .invalidKeySet("\(error)")
        }
        var keys: [JWK] = []
        for entry in document.keys { if let key = try entry.key() { keys.append(key) } }
        try self.init(keys)
    }

    /// The key of this name.
    package subscript(kid: String) -> JWK? { byID[kid] }

    /// The document: members in alphabetical order, keys in theirs.
    package var json: [UInt8] {
        get throws(JOSEError) { try StrictJSON.encode(Document(keys: keys.map(Entry.init))) }
    }

    package static func == (left: JWKSet, right: JWKSet) -> Bool { left.keys == right.keys }
}

private struct Document: Codable {
    var keys: [Entry]
}

private struct Entry: Codable {
    var kty: String
    var crv: String?
    var x: String?
    var kid: String?
    var use: String?
    var alg: String?

    init(_ key: JWK) {
        kty = "OKP"
        crv = "Ed25519"
        x = Base64URL.encode(key.publicKey.rawRepresentation)
        kid = key.kid
        use = "sig"
        alg = JWS.algorithm
    }

    /// The key, or nil when it is of a kind that this module does not use.
    func key() throws(JOSEError) -> JWK? {
        guard kty == "OKP", crv == "Ed25519", use ?? "sig" == "sig", alg ?? JWS.algorithm == JWS.algorithm, let kid
        else { return nil }
        guard let x, let raw = Base64URL.decode(x), let publicKey = try? Ed25519.PublicKey(rawRepresentation: raw)
        else { throw .invalidKeySet("the x of \(kid) is not an Ed25519 public key") }
        return JWK(kid: kid, publicKey: publicKey)
    }
}
