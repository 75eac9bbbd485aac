import LibCrypto

/// The text of a master key's file: the key, and while it is replaced the other one.
///
/// ```
/// file = key                  the usual
///      | key "next" key       what is sealed under the other opens as well, and is sealed under it again
///      | key "old" key        what is sealed under the other opens, and is then sealed under the key
/// key  = 64 hexadecimal digits
///      | "pkcs11:" and 120 hexadecimal digits: what the token's key has sealed
/// ```
struct MasterKeyFile {
    enum Other: String {
        case next
        case old
    }

    private static let tokenPrefix = "pkcs11:"

    private var key: String
    private var other: (role: Other, key: String)?

    /// One fresh key, sealed under the token's where there is one.
    init(token: PKCS11Token?) throws(KeyringProblem) {
        guard var bytes = try? RandomBytes.generate(SymmetricKey.count) else { throw .crypto("no random bytes") }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        key = if let token { Self.tokenPrefix + Hex.encode(try token.seal(bytes)) } else { Hex.encode(bytes) }
    }

    /// Nil for any other text.
    init?(_ text: [UInt8]) {
        let words = text.split(whereSeparator: { [0x20, 0x0a, 0x0d, 0x09].contains($0) }).map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 1 || words.count == 3, Self.isKey(words[0]) else { return nil }
        key = words[0]
        guard words.count == 3 else { return }
        guard let role = Other(rawValue: words[1]), Self.isKey(words[2]), words[2] != key else { return nil }
        other = (role, words[2])
    }

    /// As the file has it, with its end. The caller wipes it.
    var text: [UInt8] { Array("\(key)\(other.map { "\n\($0.role.rawValue) \($0.key)" } ?? "")\n".utf8) }

    /// The keys themselves.
    ///
    /// - Parameter token: For those that a token's key has sealed.
    func keys(_ token: PKCS11Token?) throws(KeyringProblem) -> MasterKeySet {
        var set = MasterKeySet(key: try Self.open(key, token))
        switch other?.role {
        case .next: set.next = try other.map { (other) throws(KeyringProblem) in try Self.open(other.key, token) }
        case .old: set.old = try other.map { (other) throws(KeyringProblem) in try Self.open(other.key, token) }
        case nil: break
        }
        return set
    }

    /// The next key stands beside the present one.
    mutating func add(_ next: MasterKeyFile) { other = (.next, next.key) }

    /// The next key becomes the present one.
    mutating func promote() {
        guard let next = other, next.role == .next else { return }
        (key, other) = (next.key, (.old, key))
    }

    /// The old key goes.
    mutating func drop() {
        if other?.role == .old { other = nil }
    }

    private static func isKey(_ word: String) -> Bool {
        let (digits, count) =
            word.hasPrefix(tokenPrefix)
            ? (word.dropFirst(tokenPrefix.count), AEAD.overhead + SymmetricKey.count) : (word[...], SymmetricKey.count)
        return digits.utf8.count == 2 * count && Hex.decode(String(digits)) != nil
    }

    private static func open(_ word: String, _ token: PKCS11Token?) throws(KeyringProblem) -> MasterKey {
        let isSealed = word.hasPrefix(tokenPrefix)
        guard var bytes = Hex.decode(String(word.dropFirst(isSealed ? tokenPrefix.count : 0))) else { throw .crypto("no digits") }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        if isSealed {
            guard let token else {
                throw .token(
                    module: "", reason: "the master key's file holds one that a token has sealed: set encryption.pkcs11.module")
            }
            bytes = try token.open(bytes)
        }
        do {
            return try MasterKey(bytes: bytes)
        } catch {
            throw .crypto("\(error)")
        }
    }
}
