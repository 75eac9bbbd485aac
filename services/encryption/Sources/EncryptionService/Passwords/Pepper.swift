import FoundationEssentials
import LibCrypto

/// A secret that is not where the hashes are, so that whoever has the database and not the keyring cannot try a single
/// password (OWASP Password Storage Cheat Sheet, "Peppering").
///
/// What bcrypt hashes is the base64 text of HMAC-SHA-256(version of a key, password): 44 bytes, none of them a NUL. The key has
/// the usage MAC and lives in the keyring; which version of it was used stands in the stored hash, with a fingerprint: another
/// key that was made under the same name must not make every password look like a wrong one.
package struct Pepper: Sendable {
    /// The longest name of a key, in bytes: a stored hash then has 128 bytes at most.
    package static let maximumNameCount = 24
    /// What the fingerprint is the HMAC of. No password has a NUL, so it is the phrase of none.
    private static let label = Array("lockstep pepper fingerprint\0v1".utf8)
    /// How much of it is kept, in bytes: enough to tell keys apart, too little to stand for one.
    static let fingerprintCount = 8

    private let keeper: KeyringKeeper
    private let clock: MicrosecondClock
    private let name: String?
    private let accepted: Set<String>

    /// - Parameters:
    ///   - name: The key of new hashes; nil for none.
    ///   - former: Keys whose hashes are still verified.
    package init(keeper: KeyringKeeper, name: String?, former: [String] = [], clock: @escaping MicrosecondClock = systemClock) {
        self.keeper = keeper
        self.name = name
        self.clock = clock
        accepted = Set(former).union(name.map { [$0] } ?? [])
    }

    /// What new hashes are made with; nil without a pepper.
    ///
    /// - Throws: what keeps the key from being used.
    package func current() throws(EncryptionError) -> PepperVersion? {
        guard let name else { return nil }
        let key = try key(name)
        let version = key.primary(at: clock())
        try version.checkActive(of: key)
        guard case .mac(let secret) = version.material else { throw .wrongUsage(key: name, expected: .mac) }
        return PepperVersion(key: name, number: version.number, fingerprint: try Self.fingerprint(secret))
    }

    private static func fingerprint(_ secret: SymmetricKey) throws(EncryptionError) -> [UInt8] {
        guard let tag = try? secret.withUnsafeBytes({ try HMACSHA256.authenticate(label, key: $0) }) else { throw .cryptoFailed }
        return Array(tag.prefix(fingerprintCount))
    }

    /// What bcrypt is given instead of the password; nil for a version below the key's `min_decryption_version`, whose hashes
    /// match nothing any more.
    ///
    /// - Throws: `pepperUnknown` for a key that configuration does not name, `pepperReplaced` for a version that the key of that
    ///   name does not have or of which the fingerprint is another one's, or what keeps the key from being used.
    func phrase(_ password: [UInt8], _ version: PepperVersion) throws(EncryptionError) -> [UInt8]? {
        guard accepted.contains(version.key) else { throw .pepperUnknown(key: version.key) }
        let key = try key(version.key)
        if key.version(version.number) == nil, keeper.isStale { throw .keyringStale }
        guard case .mac(let secret)? = key.version(version.number)?.material, try Self.fingerprint(secret) == version.fingerprint else {
            throw .pepperReplaced(key: version.key, version.number)
        }
        guard key.opening(version.number) != nil else { return nil }
        guard var tag = try? secret.withUnsafeBytes({ try HMACSHA256.authenticate(password, key: $0) }) else { throw .cryptoFailed }
        defer { tag.withUnsafeMutableBytes { wipe($0) } }
        var data = Data(tag)
        defer { data.withUnsafeMutableBytes { wipe($0) } }
        var text = data.base64EncodedData()
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        return Array(text)
    }

    private func key(_ name: String) throws(EncryptionError) -> NamedKey {
        guard let key = keeper.keyring[name] else { throw keeper.isStale ? .keyringStale : .unknownKey(name) }
        guard key.usage == .mac else { throw .wrongUsage(key: name, expected: .mac) }
        return try key.usable()
    }
}

/// One version of the key that peppers.
package struct PepperVersion: Sendable, Hashable {
    package let key: String
    package let number: UInt32
    /// Of `Pepper.fingerprintCount` bytes; tells this version of this key from any other's.
    package let fingerprint: [UInt8]
}

/// A stored hash: bcrypt's own, or that behind the pepper it was made with, `$hmac-sha256$k=NAME,v=2,f=FINGERPRINT$2b$12$...`,
/// the fingerprint as base64url.
struct StoredPassword {
    private static let scheme = "$hmac-sha256$"

    let pepper: PepperVersion?
    let bcrypt: BcryptHash

    /// Nil when it is neither.
    init?(_ text: String) {
        guard text.hasPrefix(Self.scheme) else {
            guard let bcrypt = BcryptHash(text) else { return nil }
            (self.pepper, self.bcrypt) = (nil, bcrypt)
            return
        }
        let rest = text.dropFirst(Self.scheme.count)
        let parts = rest.prefix { $0 != "$" }.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasPrefix("k="), parts[1].hasPrefix("v="), let number = UInt32(parts[1].dropFirst(2)),
            String(number) == parts[1].dropFirst(2), KeyName.isValid(String(parts[0].dropFirst(2))), parts[2].hasPrefix("f="),
            let fingerprint = Base64URL.decode(String(parts[2].dropFirst(2))), fingerprint.count == Pepper.fingerprintCount,
            let bcrypt = BcryptHash(String(rest.drop { $0 != "$" }))
        else { return nil }
        self.pepper = PepperVersion(key: String(parts[0].dropFirst(2)), number: number, fingerprint: fingerprint)
        self.bcrypt = bcrypt
    }

    static func text(_ hash: String, pepper: PepperVersion?) -> String {
        guard let pepper else { return hash }
        return "\(scheme)k=\(pepper.key),v=\(pepper.number),f=\(Base64URL.encode(pepper.fingerprint))\(hash)"
    }
}
