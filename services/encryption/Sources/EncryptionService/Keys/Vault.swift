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
        _ name: String, _ operation: KeyOperation, version: UInt32, caller: PeerIdentity
    ) throws(EncryptionError) -> Sealer {
        try policy.check(caller, operation, name)
        let key = try usable(name)
        let found = try sealing(key, version)
        guard case .aead(let secret, let meter) = found.material else { throw .wrongUsage(key: name, expected: .aead) }
        return Sealer(key: key, version: found, secret: secret, meter: meter, keeper: keeper)
    }

    /// The key that opens. A key that is not there opens nothing, and does not say so.
    package func opener(
        _ name: String, _ operation: KeyOperation, caller: PeerIdentity
    ) throws(EncryptionError) -> Opener {
        try policy.check(caller, operation, name)
        guard let key = keeper.key(name) else { return Opener(key: nil, keeper: keeper) }
        return Opener(key: try key.usable(), keeper: keeper)
    }

    /// Both.
    package func rewrapper(_ name: String, caller: PeerIdentity) throws(EncryptionError) -> Rewrapper {
        let opener = try opener(name, .rewrap, caller: caller)
        guard opener.key?.usage == .aead else { return Rewrapper(opener: opener, sealer: nil) }
        return Rewrapper(opener: opener, sealer: try sealer(name, .rewrap, version: 0, caller: caller))
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
        guard let key = keeper.key(name) else { throw keeper.isStale ? .keyringStale : .unknownKey(name) }
        return try key.usable()
    }

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

    /// The key for messages of one context: the version's, or what is derived of it for the context alone.
    fileprivate func secret(_ secret: SymmetricKey, aad: [UInt8]) throws(EncryptionError) -> SymmetricKey {
        guard options.isDerived else { return secret }
        // The additional data names format, version, key and context, each in one way only.
        let info = Array("lockstep derived key v1".utf8) + aad
        let derived = secret.withUnsafeBytes { try? HKDF.sha256($0, salt: [UInt8](), info: info, count: SymmetricKey.count) }
        guard var derived else { throw .cryptoFailed }
        defer { derived.withUnsafeMutableBytes { wipe($0) } }
        guard let key = try? SymmetricKey(bytes: derived) else { throw .cryptoFailed }
        return key
    }
}

/// One version of one key, sealing. An object, since a batch hands it around for each item, and its parts are counted one by one.
package final class Sealer: Sendable {
    fileprivate let key: NamedKey
    let version: KeyVersion
    fileprivate let secret: SymmetricKey
    fileprivate let meter: UsageMeter
    fileprivate let keeper: KeyringKeeper
    private let header: [UInt8]
    /// The additional data without a context.
    private let aad: [UInt8]

    fileprivate init(key: NamedKey, version: KeyVersion, secret: SymmetricKey, meter: UsageMeter, keeper: KeyringKeeper) {
        (self.key, self.version, self.secret, self.meter, self.keeper) = (key, version, secret, meter, keeper)
        header = Ciphertext.header(version: version.number)
        aad = Ciphertext.aad(key: key.name, version: version.number, context: [])
    }

    package func seal(_ plaintext: Data, context: Data) throws(EncryptionError) -> Vault.Sealed {
        let ciphertext = try Data.filled(plaintext.count + Ciphertext.overhead, from: plaintext, context) {
            plaintext, context, target throws(EncryptionError) in
            try seal(plaintext, context: context, into: target)
        }
        return (ciphertext, version.number)
    }

    /// The same where it is answered from: neither plaintext nor ciphertext is copied.
    ///
    /// - Parameters:
    ///   - target: Of the plaintext's length and `Ciphertext.overhead`.
    ///   - session: This sealer's, for many messages.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        _ session: AEAD.Session? = nil
    ) throws(EncryptionError) {
        if key.options.isDerived, context.isEmpty { throw .contextRequired(key: key.name) }
        let aad = context.isEmpty ? aad : aad + context
        let secret = try key.secret(secret, aad: aad)
        try spend()
        target.copyBytes(from: header)
        let sealed = UnsafeMutableRawBufferPointer(rebasing: target[header.count...])
        do {
            if let session { try session.seal(plaintext, aad: aad, into: sealed) } else {
                try AEAD.seal(plaintext, key: secret, aad: aad, into: sealed)
            }
        } catch {
            throw .cryptoFailed
        }
    }

    /// For many messages on one thread; nil for a key of which each context has its own.
    func session() -> AEAD.Session? { key.options.isDerived ? nil : AEAD.Session(sealing: secret) }

    /// Derived keys are counted together: that is more than they need, and never too little.
    private func spend() throws(EncryptionError) {
        switch meter.spend() {
        case .granted: return
        case .grantedButLow: keeper.requestReserve(for: key.name, version: version.number)
        case .refused:
            keeper.requestReserve(for: key.name, version: version.number)
            let isWorn = version.reserved >= keeper.limits.maximum
            throw isWorn ? .keyExhausted(key: key.name) : .reserveExhausted(key: key.name)
        }
    }
}

/// All versions of a key that may still open.
package final class Opener: Sendable {
    fileprivate let key: NamedKey?
    private let keeper: KeyringKeeper

    fileprivate init(key: NamedKey?, keeper: KeyringKeeper) { (self.key, self.keeper) = (key, keeper) }

    /// - Throws: `decryptionFailed`, whatever is wrong; `keyringStale` when there may be a version that is not known here.
    package func open(_ bytes: Data, context: Data) throws(EncryptionError) -> Data {
        try Data.filled(Ciphertext.plaintextCount(of: bytes.count), from: bytes, context) {
            bytes, context, target throws(EncryptionError) in
            try open(bytes, context: context, into: target)
        }
    }

    /// The same where it is answered from. What did not open is not left there.
    ///
    /// - Parameters:
    ///   - target: Of the ciphertext's length less `Ciphertext.overhead`.
    ///   - sessions: For many messages on one thread.
    func open(
        _ bytes: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        _ sessions: OpeningSessions? = nil
    ) throws(EncryptionError) {
        guard let ciphertext = Ciphertext(bytes) else { throw .decryptionFailed }
        if key?.version(ciphertext.version) == nil, keeper.isStale { throw .keyringStale }
        guard let key,
            case .aead(let base, _)? = key.opening(ciphertext.version)?.material
        else { throw .decryptionFailed }
        let aad = Ciphertext.aad(key: key.name, version: ciphertext.version, context: context)
        let secret = try key.secret(base, aad: aad)
        do {
            if let sessions, !key.options.isDerived {
                try sessions.session(of: ciphertext.version, secret).open(ciphertext.sealed, aad: aad, into: target)
            } else {
                try AEAD.open(ciphertext.sealed, key: secret, aad: aad, into: target)
            }
        } catch {
            throw .decryptionFailed
        }
    }
}

/// What opens many messages of one key on one thread: most are of one version.
final class OpeningSessions {
    private var last: (version: UInt32, session: AEAD.Session)?

    fileprivate func session(of version: UInt32, _ secret: SymmetricKey) -> AEAD.Session {
        if let last, last.version == version { return last.session }
        let session = AEAD.Session(opening: secret)
        last = (version, session)
        return session
    }
}

/// Opens and seals anew; what was inside does not leave it.
package struct Rewrapper {
    fileprivate let opener: Opener
    /// Nil for a key that is not there or not for this: then nothing opens either.
    fileprivate let sealer: Sealer?

    package func rewrap(_ bytes: Data, context: Data) throws(EncryptionError) -> Vault.Sealed {
        var plaintext = try opener.open(bytes, context: context)
        defer { plaintext.withUnsafeMutableBytes { wipe($0) } }
        guard let sealer else { throw .decryptionFailed }
        return try sealer.seal(plaintext, context: context)
    }

    /// For many messages on one thread.
    func session() -> AEAD.Session? { sealer?.session() }

    /// The version that seals; 0 where nothing opens.
    var version: UInt32 { sealer?.version.number ?? 0 }

    /// The same where it is answered from: what is sealed anew is as long as it was.
    func rewrap(
        _ bytes: UnsafeRawBufferPointer, context: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        _ opening: OpeningSessions, _ sealing: AEAD.Session?
    ) throws(EncryptionError) {
        var plaintext = [UInt8](repeating: 0, count: Ciphertext.plaintextCount(of: bytes.count))
        defer { plaintext.withUnsafeMutableBytes { wipe($0) } }
        var failure: EncryptionError?
        plaintext.withUnsafeMutableBytes { opened in
            do throws(EncryptionError) {
                try opener.open(bytes, context: context, into: opened, opening)
                guard let sealer else { throw .decryptionFailed }
                try sealer.seal(UnsafeRawBufferPointer(opened), context: context, into: target, sealing)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
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
    fileprivate static func filled(
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
