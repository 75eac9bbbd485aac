import JOSE
package import LibCrypto

/// Makes versions: fresh ones from random bytes, and known ones from the bytes of the keyring file.
package struct KeyMaker: Sendable {
    package let limits: UsageLimits
    /// How long a new signing key is published before it signs, in microseconds.
    package let publishLead: Int64

    package init(limits: UsageLimits = .standard, publishLead: Int64) {
        self.limits = limits
        self.publishLead = publishLead
    }

    /// The first version of a key, active at once.
    package func first(_ specification: KeySpecification, now: Int64) throws(CryptoError) -> NamedKey? {
        let material = try material(specification.usage)
        let version = KeyVersion(number: 1, createdAt: now, activeAt: now, reserved: 0, material: material)
        return NamedKey(name: specification.name, usage: specification.usage, versions: [version])
    }

    /// The version after the newest one of `key`.
    package func next(of key: NamedKey, now: Int64) throws(CryptoError) -> KeyVersion {
        KeyVersion(
            number: key.next, createdAt: now, activeAt: key.usage == .sign ? now + publishLead : now, reserved: 0,
            material: try material(key.usage))
    }

    /// Known material. `used` counts as sealed already.
    package func material(_ usage: KeyUsage, bytes: [UInt8], used: UInt64) throws(CryptoError) -> KeyMaterial {
        switch usage {
        case .aead:
            return .aead(try SymmetricKey(bytes: bytes), UsageMeter(used: used, low: limits.block / 2))
        case .sign:
            let key = try Ed25519.PrivateKey(rawRepresentation: bytes)
            return .sign(key, kid: try JWK.thumbprint(of: key.publicKey))
        }
    }

    private func material(_ usage: KeyUsage) throws(CryptoError) -> KeyMaterial {
        var bytes = try RandomBytes.generate(SymmetricKey.count)
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        return try material(usage, bytes: bytes, used: 0)
    }
}
