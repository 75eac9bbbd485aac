package import FoundationEssentials
package import LibCrypto

/// A public key with its name (RFC 7517, RFC 7518 section 6.2, RFC 8037 section 2).
package struct JWK: Equatable, Sendable {
    /// Opaque: compared byte by byte, never interpreted.
    package let kid: String
    package let publicKey: SignaturePublicKey

    package init(kid: String, publicKey: SignaturePublicKey) {
        self.kid = kid
        self.publicKey = publicKey
    }

    package init(kid: String, publicKey: Ed25519.PublicKey) { self.init(kid: kid, publicKey: .ed25519(publicKey)) }

    /// The members of the document, without `kid` and `use`; `y` is for curves with two coordinates.
    package var members: (kty: String, crv: String, x: String, y: String?, alg: String) {
        let alg = publicKey.algorithm.rawValue
        return switch publicKey {
        case .ed25519(let key): ("OKP", "Ed25519", Base64URL.encode(key.rawRepresentation), nil, alg)
        case .p256(let key): ("EC", "P-256", Base64URL.encode(key.x), Base64URL.encode(key.y), alg)
        }
    }

    /// The key's thumbprint (RFC 7638, RFC 8037 appendix A.3): a name that no other key can have.
    package static func thumbprint(of key: SignaturePublicKey) throws(CryptoError) -> String {
        let members = JWK(kid: "", publicKey: key).members
        let y = members.y.map { #","y":"\#($0)""# } ?? ""
        let text = #"{"crv":"\#(members.crv)","kty":"\#(members.kty)","x":"\#(members.x)"\#(y)}"#
        return Base64URL.encode(try SHA256.hash(Array(text.utf8)))
    }

    package static func thumbprint(of key: Ed25519.PublicKey) throws(CryptoError) -> String {
        try thumbprint(of: .ed25519(key))
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
    var y: String?
    var kid: String?
    var use: String?
    var alg: String?

    init(_ key: JWK) {
        let members = key.members
        (kty, crv, x, y, alg) = (members.kty, members.crv, members.x, members.y, members.alg)
        kid = key.kid
        use = "sig"
    }

    /// The key, or nil when it is of a kind that this module does not use.
    func key() throws(JOSEError) -> JWK? {
        guard use ?? "sig" == "sig", let kid else { return nil }
        switch (kty, crv) {
        case ("OKP", "Ed25519"):
            guard belongs(to: .edDSA) else { return nil }
            guard let x = coordinate(x), let key = try? Ed25519.PublicKey(rawRepresentation: x) else {
                throw .invalidKeySet("the x of \(kid) is not an Ed25519 public key")
            }
            return JWK(kid: kid, publicKey: .ed25519(key))
        case ("EC", "P-256"):
            guard belongs(to: .es256) else { return nil }
            guard let x = coordinate(x), let y = coordinate(y), let key = try? P256.PublicKey(x: x, y: y) else {
                throw .invalidKeySet("x and y of \(kid) are no point of P-256")
            }
            return JWK(kid: kid, publicKey: .p256(key))
        default: return nil
        }
    }

    private func belongs(to algorithm: SignatureAlgorithm) -> Bool { alg ?? algorithm.rawValue == algorithm.rawValue }

    private func coordinate(_ text: String?) -> [UInt8]? { text.flatMap { Base64URL.decode($0) } }
}
