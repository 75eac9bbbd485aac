package import LibCrypto

/// What a key is for. One purpose for each key.
package enum KeyUsage: String, Sendable, Hashable, CaseIterable {
    /// AES-256-GCM.
    case aead = "AEAD"
    /// Ed25519.
    case sign = "SIGN"
}

/// A key that must exist: its name and purpose, as configuration says `token-vault:AEAD`.
package struct KeySpecification: Sendable, Hashable {
    /// The longest name, in bytes.
    package static let maximumNameCount = 64

    package let name: String
    package let usage: KeyUsage

    /// Nil unless the name is `[A-Za-z0-9_-]{1,64}`.
    package init?(name: String, usage: KeyUsage) {
        guard (1...Self.maximumNameCount).contains(name.utf8.count), name.utf8.allSatisfy(Self.isNameByte)
        else { return nil }
        self.name = name
        self.usage = usage
    }

    /// The form of configuration, `name:USAGE`; nil for any other text.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let usage = KeyUsage(rawValue: String(parts[1])) else { return nil }
        self.init(name: String(parts[0]), usage: usage)
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

/// The secret of one version.
package enum KeyMaterial: Sendable {
    case aead(SymmetricKey, UsageMeter)
    /// `kid` is the public key's thumbprint (RFC 7638): no other key, of any keyring, ever has the same.
    case sign(Ed25519.PrivateKey, kid: String)
}

/// One version of a key. Times are microseconds since 1970.
package struct KeyVersion: Sendable {
    /// From 1, without gaps.
    package let number: UInt32
    package let createdAt: Int64
    /// From when it may be primary. Later than `createdAt` for signing keys, so that verifiers know a key before it
    /// signs.
    package let activeAt: Int64
    /// How many messages this version may have sealed, on disk before the first of them is. Zero for signing keys.
    package var reserved: UInt64
    package let material: KeyMaterial
}

/// A key: its versions in ascending order, at least one.
package struct NamedKey: Sendable {
    package let name: String
    package let usage: KeyUsage
    package private(set) var versions: [KeyVersion]

    /// Nil unless there is a version, they ascend from 1 without gaps, and all have the material of `usage`.
    package init?(name: String, usage: KeyUsage, versions: [KeyVersion]) {
        guard !versions.isEmpty, versions.map(\.number) == Array(1...UInt32(versions.count)),
            versions.allSatisfy({ $0.material.usage == usage })
        else { return nil }
        self.name = name
        self.usage = usage
        self.versions = versions
    }

    /// The newest version that is active at `now`; the first one when the clock stands before all of them.
    package func primary(at now: Int64) -> KeyVersion { versions.last { $0.activeAt <= now } ?? versions[0] }

    /// The version of that number.
    package func version(_ number: UInt32) -> KeyVersion? {
        versions.indices.contains(Int(number) - 1) ? versions[Int(number) - 1] : nil
    }

    /// The number that the next version will have.
    package var next: UInt32 { UInt32(versions.count) + 1 }

    mutating func append(_ version: KeyVersion) { versions.append(version) }

    mutating func reserve(_ number: UInt32, upTo count: UInt64) { versions[Int(number) - 1].reserved = count }
}

extension KeyMaterial {
    package var usage: KeyUsage {
        switch self {
        case .aead: .aead
        case .sign: .sign
        }
    }
}
