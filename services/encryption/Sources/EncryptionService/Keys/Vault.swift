import LibCrypto
package import RPCCore

/// Encryption under named keys. Each operation asks the policy first; nothing here waits.
package struct Vault: Sendable {
    private let keeper: KeyringKeeper
    private let policy: KeyPolicy
    private let clock: MicrosecondClock

    package init(keeper: KeyringKeeper, policy: KeyPolicy, clock: @escaping MicrosecondClock = systemClock) {
        self.keeper = keeper
        self.policy = policy
        self.clock = clock
    }

    /// A ciphertext and the version of the key that made it.
    package typealias Sealed = (ciphertext: [UInt8], version: UInt32)

    /// Seals under the key's primary version, bound to `context`.
    package func encrypt(
        _ plaintext: [UInt8], key: String, context: [UInt8], caller: PeerIdentity
    ) throws(EncryptionError) -> Sealed {
        try policy.check(caller, .encrypt, key)
        return try seal(plaintext, key: key, context: context)
    }

    /// - Throws: `denied`, or `decryptionFailed` for every other cause.
    package func decrypt(
        _ ciphertext: [UInt8], key: String, context: [UInt8], caller: PeerIdentity
    ) throws(EncryptionError) -> [UInt8] {
        try policy.check(caller, .decrypt, key)
        return try open(ciphertext, key: key, context: context)
    }

    /// The same plaintext under the primary version; it does not leave this function.
    package func rewrap(
        _ ciphertext: [UInt8], key: String, context: [UInt8], caller: PeerIdentity
    ) throws(EncryptionError) -> Sealed {
        try policy.check(caller, .rewrap, key)
        var plaintext = try open(ciphertext, key: key, context: context)
        defer { plaintext.withUnsafeMutableBytes { wipe($0) } }
        return try seal(plaintext, key: key, context: context)
    }

    /// Asks for a new version; its number. It is primary once it is durable, and a signing key once it is published.
    package func rotate(_ key: String, caller: PeerIdentity) throws(EncryptionError) -> UInt32 {
        try policy.check(caller, .rotate, key)
        return try keeper.requestRotation(of: key)
    }

    /// What may be known of a key.
    package func describe(_ name: String, caller: PeerIdentity) throws(EncryptionError) -> KeyDescription {
        try policy.check(caller, .describe, name)
        let pending = keeper.pendingVersion(of: name)
        guard let key = keeper.keyring[name] else { throw .unknownKey(name) }
        let primary = key.primary(at: clock()).number
        let newest = key.next - 1
        return KeyDescription(
            key: key, primary: primary, pending: pending ?? (newest > primary ? newest : nil))
    }

    private func seal(_ plaintext: [UInt8], key name: String, context: [UInt8]) throws(EncryptionError) -> Sealed {
        guard let key = keeper.keyring[name] else { throw .unknownKey(name) }
        let version = key.primary(at: clock())
        guard case .aead(let secret, let meter) = version.material else {
            throw .wrongUsage(key: name, expected: .aead)
        }
        try spend(meter, of: version, name)
        let aad = Ciphertext.aad(key: name, version: version.number, context: context)
        guard let sealed = try? AEAD.seal(plaintext, key: secret, aad: aad) else { throw .cryptoFailed }
        return (Ciphertext.header(version: version.number) + sealed, version.number)
    }

    private func spend(_ meter: UsageMeter, of version: KeyVersion, _ name: String) throws(EncryptionError) {
        switch meter.spend() {
        case .granted: return
        case .grantedButLow: keeper.requestReserve(for: name)
        case .refused:
            keeper.requestReserve(for: name)
            let isWorn = version.reserved >= keeper.limits.maximum
            throw isWorn ? .keyExhausted(key: name) : .reserveExhausted(key: name)
        }
    }

    private func open(_ bytes: [UInt8], key name: String, context: [UInt8]) throws(EncryptionError) -> [UInt8] {
        guard let ciphertext = Ciphertext(bytes),
            case .aead(let secret, _)? = keeper.keyring[name]?.version(ciphertext.version)?.material,
            let plaintext = try? AEAD.open(
                ciphertext.sealed, key: secret,
                aad: Ciphertext.aad(key: name, version: ciphertext.version, context: context))
        else { throw .decryptionFailed }
        return plaintext
    }
}

/// What `describe` tells.
package struct KeyDescription: Sendable {
    package let key: NamedKey
    /// The version that seals and signs now.
    package let primary: UInt32
    /// The version that will be primary: not durable yet, or a signing key that is published ahead.
    package let pending: UInt32?
}
