import JOSE
package import LibCrypto

/// Makes versions: fresh ones from random bytes, and known ones from the bytes of the keyring file.
package struct KeyMaker: Sendable {
    package let limits: UsageLimits
    /// How long a new signing key is published before it signs, in microseconds.
    package let publishLead: Int64
    /// Whether other processes share the keyring: then a version waits until all have it.
    package var isShared = false

    package init(limits: UsageLimits = .standard, publishLead: Int64) {
        self.limits = limits
        self.publishLead = publishLead
    }

    /// The first version of a key, active at once, with nothing reserved.
    package func first(_ specification: KeySpecification, now: Int64) throws(CryptoError) -> NamedKey? {
        let version = KeyVersion(
            number: 1, createdAt: now, activeAt: now, reserved: 0, material: try material(specification.kind))
        return NamedKey(name: specification.name, kind: specification.kind, versions: [version])
    }

    /// The version after the newest one of `key`, with its first reserve.
    package func next(of key: NamedKey, now: Int64) throws(CryptoError) -> KeyVersion {
        KeyVersion(
            number: key.next, createdAt: now, activeAt: isShared ? KeyVersion.awaited : activation(of: key, now: now),
            reserved: key.usage == .aead ? limits.step(key.settings) : 0, material: try material(key.kind))
    }

    /// From when a version may be primary that everybody has at `now`.
    func activation(of key: NamedKey, now: Int64) -> Int64 { key.usage == .sign ? now + publishLead : now }

    /// Known material: 32 bytes, or PKCS #8 of a signing key. `used` counts as sealed already.
    ///
    /// - Throws: `CryptoError.invalidKey` for bytes of another kind.
    package func material(_ kind: KeyKind, bytes: [UInt8], used: UInt64) throws(CryptoError) -> KeyMaterial {
        switch kind {
        case .aead: .aead(try SymmetricKey(bytes: bytes), UsageMeter(used: used))
        case .mac: .mac(try SymmetricKey(bytes: bytes))
        case .sign(.edDSA): try signing(.ed25519(Ed25519.PrivateKey(pkcs8: bytes)))
        case .sign(.es256): try signing(.p256(P256.PrivateKey(pkcs8: bytes)))
        }
    }

    /// The material of format 1, whose signing keys are seeds of Ed25519.
    func firstFormatMaterial(_ kind: KeyKind, bytes: [UInt8], used: UInt64) throws(CryptoError) -> KeyMaterial {
        guard kind == .sign(.edDSA) else { return try material(kind, bytes: bytes, used: used) }
        return try signing(.ed25519(Ed25519.PrivateKey(rawRepresentation: bytes)))
    }

    private func material(_ kind: KeyKind) throws(CryptoError) -> KeyMaterial {
        switch kind {
        case .aead: .aead(try SymmetricKey(), UsageMeter(used: 0))
        case .mac: .mac(try SymmetricKey())
        case .sign(.edDSA): try signing(.ed25519(Ed25519.PrivateKey()))
        case .sign(.es256): try signing(.p256(P256.PrivateKey()))
        }
    }

    private func signing(_ key: SignaturePrivateKey) throws(CryptoError) -> KeyMaterial {
        .sign(key, kid: try JWK.thumbprint(of: key.publicKey))
    }
}
