package import JOSE
package import LibCrypto

/// What a key is for. One purpose for each key, from its creation on.
package enum KeyUsage: String, Sendable, Hashable, CaseIterable {
    /// AES-256-GCM.
    case aead = "AEAD"
    /// HMAC-SHA-256.
    case mac = "MAC"
    /// Signatures of tokens.
    case sign = "SIGN"
}

/// A key's usage, and for signing its algorithm: what decides the kind of its material.
package enum KeyKind: Sendable, Hashable {
    case aead
    case mac
    case sign(SignatureAlgorithm)

    package var usage: KeyUsage {
        switch self {
        case .aead: .aead
        case .mac: .mac
        case .sign: .sign
        }
    }

    package var algorithm: SignatureAlgorithm? {
        if case .sign(let algorithm) = self { algorithm } else { nil }
    }
}

/// A key's name.
package enum KeyName {
    /// The longest name, in bytes.
    package static let maximumCount = 64

    /// Whether the name is `[A-Za-z0-9_-]{1,64}`.
    package static func isValid(_ name: String) -> Bool {
        (1...maximumCount).contains(name.utf8.count) && name.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// A key that must exist: its name and kind, as configuration says `token-vault:AEAD`.
package struct KeySpecification: Sendable, Hashable {
    package let name: String
    package let kind: KeyKind
    /// Which setting asks for it.
    package var origin = Origin.keys

    package var usage: KeyUsage { kind.usage }

    /// A setting that asks for keys.
    package enum Origin: String, Sendable, Hashable {
        case keys = "encryption.keyring.keys"
        case pepper = "encryption.password.pepper_key"
        /// A key of hashes that are stored already: one made now would match none of them.
        case formerPepper = "encryption.password.former_pepper_keys"

        var mayBeMade: Bool { self != .formerPepper }
    }

    /// Nil unless the name is `[A-Za-z0-9_-]{1,64}`.
    package init?(name: String, kind: KeyKind) {
        guard KeyName.isValid(name) else { return nil }
        self.name = name
        self.kind = kind
    }

    /// The form of configuration, `name:AEAD`, `name:MAC`, `name:SIGN` or `name:SIGN:ES256`; nil for any other text.
    package init?(_ text: some StringProtocol) {
        let parts = String(text).split(separator: Character(":"), omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 || parts.count == 3, let usage = KeyUsage(rawValue: parts[1]) else { return nil }
        switch (usage, parts.count) {
        case (.aead, 2): self.init(name: parts[0], kind: .aead)
        case (.mac, 2): self.init(name: parts[0], kind: .mac)
        case (.sign, 2): self.init(name: parts[0], kind: .sign(.edDSA))
        case (.sign, 3):
            guard let algorithm = SignatureAlgorithm(rawValue: parts[2]) else { return nil }
            self.init(name: parts[0], kind: .sign(algorithm))
        default: return nil
        }
    }
}

/// The secret of one version.
package enum KeyMaterial: Sendable {
    case aead(SymmetricKey, UsageMeter)
    case mac(SymmetricKey)
    /// `kid` is the public key's thumbprint (RFC 7638): no other key, of any keyring, ever has the same.
    case sign(SignaturePrivateKey, kid: String)

    package var kind: KeyKind {
        switch self {
        case .aead: .aead
        case .mac: .mac
        case .sign(let key, _): .sign(key.algorithm)
        }
    }

    /// The secret's bytes, for sealed storage and for export only: 32 bytes, or PKCS #8 of a signing key.
    func bytes() throws(CryptoError) -> [UInt8] {
        switch self {
        case .aead(let key, _), .mac(let key): key.withUnsafeBytes { Array($0) }
        case .sign(.ed25519(let key), _): try key.pkcs8Representation()
        case .sign(.p256(let key), _): try key.pkcs8Representation()
        }
    }
}

/// One version of a key. Times are microseconds since 1970.
package struct KeyVersion: Sendable {
    /// From 1, without gaps.
    package let number: UInt32
    package let createdAt: Int64
    /// From when it may be primary. Later than `createdAt` for signing keys, so that verifiers know a key before it
    /// signs.
    package internal(set) var activeAt: Int64
    /// How many messages this version may have sealed, on disk before the first of them is. Zero but for AEAD keys.
    package var reserved: UInt64
    package internal(set) var material: KeyMaterial

    /// The `activeAt` of a version that other processes may not have yet. Far enough from the end of the range for sums.
    package static let awaited = Int64.max / 2
    /// Whether it waits until every process that shares the keyring has it: until then nothing is sealed or signed with it.
    package var isAwaited: Bool { activeAt == Self.awaited }
}

/// What is decided when a key is made, and never changes.
package struct KeyOptions: Sendable, Hashable {
    /// Whether its secret may ever leave.
    package var isExportable = false
    /// Whether each context has a key of its own, derived from the version's.
    package var isDerived = false
    /// Whether its secret came from elsewhere.
    package var isImported = false

    package init(isExportable: Bool = false, isDerived: Bool = false, isImported: Bool = false) {
        self.isExportable = isExportable
        self.isDerived = isDerived
        self.isImported = isImported
    }
}

/// What may change of a key.
package struct KeySettings: Sendable, Hashable {
    /// The oldest version that opens, verifies, and is published. 1: all.
    package var minDecryption: UInt32 = 1
    /// The oldest version that a caller may ask to seal with. 0: as `minDecryption`.
    package var minEncryption: UInt32 = 0
    /// Seconds after which a version is followed by the next; 0: never.
    package var rotateAfter: UInt64 = 0
    /// Messages after which a version is followed by the next; 0: at the bound of `UsageLimits`.
    package var rotateAfterUses: UInt64 = 0

    /// A day to ten years.
    package static let rotateAfterBounds: ClosedRange<UInt64> = 86_400...315_360_000
    package static let rotateAfterUsesBounds: ClosedRange<UInt64> = 1...(1 << 31)
}

/// A change of some of a key's settings: what is nil stays as it is, whatever that is by then.
package struct KeySettingsChange: Sendable, Hashable {
    package var minDecryption: UInt32?
    package var minEncryption: UInt32?
    package var rotateAfter: UInt64?
    package var rotateAfterUses: UInt64?

    package init() {}

    package func applied(to settings: KeySettings) -> KeySettings {
        var next = settings
        next.minDecryption = minDecryption ?? settings.minDecryption
        next.minEncryption = minEncryption ?? settings.minEncryption
        next.rotateAfter = rotateAfter ?? settings.rotateAfter
        next.rotateAfterUses = rotateAfterUses ?? settings.rotateAfterUses
        return next
    }
}

/// Whether a key may be used. Times are microseconds since 1970.
package enum KeyState: Sendable, Hashable {
    case enabled
    case disabled
    case pendingDestruction(at: Int64)
}

/// A key: its versions in ascending order, at least one.
package struct NamedKey: Sendable {
    package let name: String
    package let kind: KeyKind
    package let options: KeyOptions
    package var settings: KeySettings
    package var state: KeyState
    package private(set) var versions: [KeyVersion]

    /// Nil unless there is a version, they ascend from 1 without gaps, and all have the material of `kind`.
    package init?(
        name: String, kind: KeyKind, options: KeyOptions = KeyOptions(), settings: KeySettings = KeySettings(),
        state: KeyState = .enabled, versions: [KeyVersion]
    ) {
        guard !versions.isEmpty, versions.map(\.number) == Array(1...UInt32(versions.count)),
            versions.allSatisfy({ $0.material.kind == kind })
        else { return nil }
        self.name = name
        self.kind = kind
        self.options = options
        self.settings = settings
        self.state = state
        self.versions = versions
    }

    package var usage: KeyUsage { kind.usage }

    /// The newest version that is active at `now`; the first one when the clock stands before all of them. Never one that may not
    /// seal or open any more: a clock that is set back does not bring it back.
    package func primary(at now: Int64) -> KeyVersion {
        let newest = versions.last { $0.activeAt <= now } ?? versions[0]
        let least = max(settings.minDecryption, settings.minEncryption)
        return newest.number < least ? version(least) ?? newest : newest
    }

    /// The times around `now` at which `primary` is the same.
    func primaryStays(at now: Int64) -> Range<Int64> {
        let times = versions.map(\.activeAt)
        return (times.filter { $0 <= now }.max() ?? .min)..<(times.filter { $0 > now }.min() ?? .max)
    }

    /// The version of that number.
    package func version(_ number: UInt32) -> KeyVersion? {
        versions.indices.contains(Int(number) - 1) ? versions[Int(number) - 1] : nil
    }

    /// The version that a caller asks to seal with: 0 for the primary one. Nil when it may not.
    package func sealing(_ number: UInt32, at now: Int64) -> KeyVersion? {
        let primary = primary(at: now)
        guard number > 0 else { return primary }
        let least = max(settings.minEncryption, settings.minDecryption)
        return (least...max(least, primary.number)).contains(number) ? version(number) : nil
    }

    /// The version of that number, unless it is older than what may still open and verify.
    package func opening(_ number: UInt32) -> KeyVersion? {
        number >= settings.minDecryption ? version(number) : nil
    }

    /// The number that the next version will have.
    package var next: UInt32 { UInt32(versions.count) + 1 }

    /// When the next version is due by age, as `KeySettings.rotateAfter` says, so that it is active right then.
    func isDue(publishLead: Int64) -> Int64? {
        guard settings.rotateAfter > 0, state == .enabled, versions.count < Keyring.maximumVersions,
            let newest = versions.last, !newest.isAwaited
        else { return nil }
        let seconds = Int64(min(settings.rotateAfter, KeySettings.rotateAfterBounds.upperBound))
        return newest.activeAt + seconds * 1_000_000 - (usage == .sign ? publishLead : 0)
    }

    /// Whether the keyring thread may rotate it by itself.
    var canBeRotated: Bool {
        state == .enabled && !options.isImported && versions.count < Keyring.maximumVersions && !isAwaited
    }

    /// Whether its newest version waits until every process that shares the keyring has it.
    package var isAwaited: Bool { versions.last?.isAwaited ?? false }

    mutating func append(_ version: KeyVersion) { versions.append(version) }

    mutating func reserve(_ number: UInt32, upTo count: UInt64) { versions[Int(number) - 1].reserved = count }

    /// Other processes may not have it yet.
    mutating func hold() {
        for index in versions.indices { versions[index].activeAt = KeyVersion.awaited }
    }

    /// Every process has the newest version now.
    mutating func activate(at time: Int64) {
        for index in versions.indices where versions[index].isAwaited { versions[index].activeAt = time }
    }

    /// The same versions with the meters that count what this process seals.
    mutating func keepMeters(of other: NamedKey) {
        for (index, mine) in zip(versions.indices, other.versions) {
            guard case .aead(let secret, _) = versions[index].material, case .aead(let known, let meter) = mine.material,
                secret.withUnsafeBytes({ secret in known.withUnsafeBytes { constantTimeEqual(secret, $0) } })
            else { continue }
            versions[index].material = mine.material
            versions[index].reserved = max(versions[index].reserved, mine.reserved)
            meter.note(reserved: versions[index].reserved)
        }
    }
}
