package import FoundationEssentials
import LibCrypto
package import RPCCore

/// Encryption and MACs under named keys. Each operation asks the policy first; nothing here waits.
package struct Vault: Sendable {
    let keeper: KeyringKeeper
    let policy: KeyPolicy
    let clock: MicrosecondClock

    package init(keeper: KeyringKeeper, policy: KeyPolicy, clock: @escaping MicrosecondClock = systemClock) {
        self.keeper = keeper
        self.policy = policy
        self.clock = clock
    }

    /// A ciphertext and the version of the key that made it.
    package typealias Sealed = (ciphertext: Data, version: UInt32)

    /// Seals under the key's primary version, or the one that is asked for, bound to `context`.
    package func encrypt(
        _ plaintext: Data, key: String, context: Data, version: UInt32 = 0, caller: PeerIdentity
    ) throws(EncryptionError) -> Sealed {
        try sealer(key, .encrypt, version: version, caller: caller).seal(plaintext, context: context)
    }

    /// - Throws: `denied`, what keeps the key from being used, or `decryptionFailed` for every other cause.
    package func decrypt(
        _ ciphertext: Data, key: String, context: Data, caller: PeerIdentity
    ) throws(EncryptionError) -> Data {
        try opener(key, .decrypt, caller: caller).open(ciphertext, context: context)
    }

    /// The same plaintext under the primary version; it does not leave this function.
    package func rewrap(
        _ ciphertext: Data, key: String, context: Data, caller: PeerIdentity
    ) throws(EncryptionError) -> Sealed {
        try rewrapper(key, caller: caller).rewrap(ciphertext, context: context)
    }

    /// A fresh key of `count` bytes, and the same sealed.
    package func dataKey(
        _ count: Int, key: String, context: Data, caller: PeerIdentity
    ) throws(EncryptionError) -> (plaintext: Data, sealed: Sealed) {
        let sealer = try sealer(key, .dataKey, version: 0, caller: caller)
        guard var bytes = try? RandomBytes.generate(count) else { throw .cryptoFailed }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        var plaintext = Data(bytes)
        do throws(EncryptionError) {
            return (plaintext, try sealer.seal(plaintext, context: context))
        } catch {
            plaintext.withUnsafeMutableBytes { wipe($0) }
            throw error
        }
    }

    // MARK: Keys for one item or many

    /// The key that seals: found and checked once, for any number of items.
    package func sealer(
        _ name: String, _ operation: KeyOperation, version: UInt32, caller: PeerIdentity, items: Int = 1
    ) throws(EncryptionError) -> Sealer {
        try policy.check(caller, operation, name)
        guard version > 0 else {
            guard let key = try keeper.sealing(name, at: clock()) else { throw missing(name) }
            return Sealer(key, keeper, items: items)
        }
        let key = try usable(name)
        return Sealer(try MessageKey(sealing: key, sealing(key, version), limits: keeper.limits), keeper, items: items)
    }

    /// The key that opens. A key that is not there opens nothing, and does not say so.
    package func opener(
        _ name: String, _ operation: KeyOperation, caller: PeerIdentity, items: Int = 1
    ) throws(EncryptionError) -> Opener {
        try policy.check(caller, operation, name)
        return Opener(try keeper.key(name)?.usable(), keeper, items: items)
    }

    /// Both.
    package func rewrapper(_ name: String, caller: PeerIdentity, items: Int = 1) throws(EncryptionError) -> Rewrapper {
        let opener = try opener(name, .rewrap, caller: caller, items: items)
        guard opener.opensMessages else { return Rewrapper(opener: opener, sealer: nil) }
        return Rewrapper(opener: opener, sealer: try sealer(name, .rewrap, version: 0, caller: caller, items: items))
    }

    /// The key that makes and verifies MACs.
    package func authenticator(
        _ name: String, _ operation: KeyOperation, version: UInt32 = 0, caller: PeerIdentity
    ) throws(EncryptionError) -> Authenticator {
        try policy.check(caller, operation, name)
        let key = try usable(name)
        guard key.usage == .mac else { throw .wrongUsage(key: name, expected: .mac) }
        return Authenticator(
            key: key, version: operation == .verifyMAC ? key.primary(at: clock()) : try sealing(key, version), keeper: keeper)
    }

    private func usable(_ name: String) throws(EncryptionError) -> NamedKey {
        guard let key = keeper.key(name) else { throw missing(name) }
        return try key.usable()
    }

    private func missing(_ name: String) -> EncryptionError { keeper.isStale ? .keyringStale : .unknownKey(name) }

    private func sealing(_ key: NamedKey, _ number: UInt32) throws(EncryptionError) -> KeyVersion {
        guard let version = key.sealing(number, at: clock()) else { throw .unknownVersion(key: key.name, number) }
        try version.checkActive(of: key)
        return version
    }
}

extension KeyVersion {
    /// A key that was made just now waits until every process has it, so that all can open what one seals.
    func checkActive(of key: NamedKey) throws(EncryptionError) {
        if isAwaited { throw .changePending(key: key.name, "CREATE") }
    }
}

extension NamedKey {
    /// Itself, when its state lets it be used.
    func usable() throws(EncryptionError) -> NamedKey {
        switch state {
        case .enabled: return self
        case .disabled: throw .keyDisabled(key: name)
        case .pendingDestruction: throw .keyPendingDestruction(key: name)
        }
    }
}

/// A key of usage MAC, and the version that makes new ones.
package struct Authenticator {
    fileprivate let key: NamedKey
    let version: KeyVersion
    fileprivate let keeper: KeyringKeeper

    func mac(_ message: some ContiguousBytes) throws(EncryptionError) -> (mac: [UInt8], version: UInt32) {
        guard case .mac(let secret) = version.material,
            let tag = secret.withUnsafeBytes({ try? HMACSHA256.authenticate(message, key: $0) })
        else { throw .cryptoFailed }
        return (TaggedMAC.bytes(version: version.number, tag: tag), version.number)
    }

    /// False for everything that is not this key's whole MAC of the message.
    func isValid(_ mac: Data, for message: Data) throws(EncryptionError) -> Bool {
        let result: Result<Bool, EncryptionError> = mac.withUnsafeBytes { mac in
            message.withUnsafeBytes { message in
                Result { () throws(EncryptionError) in try isValid(mac, for: message) }
            }
        }
        return try result.get()
    }

    /// The same where they are.
    func isValid(_ mac: UnsafeRawBufferPointer, for message: UnsafeRawBufferPointer) throws(EncryptionError) -> Bool {
        guard let parts = TaggedMAC(mac) else { return false }
        if key.version(parts.version) == nil, keeper.isStale { throw .keyringStale }
        guard case .mac(let secret)? = key.opening(parts.version)?.material else { return false }
        let isValid = secret.withUnsafeBytes { try? HMACSHA256.isValid(parts.tag, for: message, key: $0) }
        guard let isValid else { throw .cryptoFailed }
        return isValid
    }
}

extension Data {
    /// `count` bytes, which `fill` writes where they stay, of two others.
    static func filled(
        _ count: Int, from first: Data, _ second: Data,
        _ fill: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) throws(EncryptionError) -> Void
    ) throws(EncryptionError) -> Data {
        var data = Data(count: count)
        var failure: EncryptionError?
        data.withUnsafeMutableBytes { target in
            first.withUnsafeBytes { first in
                second.withUnsafeBytes { second in
                    do throws(EncryptionError) { try fill(first, second, target) } catch { failure = error }
                }
            }
        }
        if let failure { throw failure }
        return data
    }
}
