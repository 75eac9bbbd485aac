import JOSE
import LibCrypto
package import RPCCore

/// What is done to keys. Each operation asks the policy first, and leaves the rest to the keyring thread.
package struct KeyAdministration: Sendable {
    /// The waiting period before a key is destroyed, in days: AWS KMS's.
    static let waitingDays: ClosedRange<UInt32> = 7...30

    private let keeper: KeyringKeeper
    private let policy: KeyPolicy
    private let clock: MicrosecondClock

    package init(keeper: KeyringKeeper, policy: KeyPolicy, clock: @escaping MicrosecondClock = systemClock) {
        self.keeper = keeper
        self.policy = policy
        self.clock = clock
    }

    /// Who asks, and in which call.
    package struct Caller: Sendable {
        let peer: PeerIdentity
        let requestID: String

        package init(peer: PeerIdentity, requestID: String = "") {
            self.peer = peer
            self.requestID = requestID
        }

        fileprivate var actor: KeyActor { KeyActor(name: peer.service, requestID: requestID) }
    }

    /// A key that is to be made.
    package struct Blueprint: Sendable {
        package var name: String
        package var kind: KeyKind
        package var options: KeyOptions
        package var settings: KeySettings

        package init(name: String, kind: KeyKind, options: KeyOptions = KeyOptions(), settings: KeySettings = KeySettings()) {
            self.name = name
            self.kind = kind
            self.options = options
            self.settings = settings
        }

        fileprivate func check() throws(EncryptionError) {
            guard KeyName.isValid(name) else {
                throw .invalid(field: "key_name", "It must be 1 to \(KeyName.maximumCount) letters, digits, - and _.")
            }
            if options.isDerived, kind != .aead {
                throw .invalid(field: "derived", "Only a key of usage AEAD is derived for each context.")
            }
            if kind != .aead, settings.rotateAfterUses > 0 {
                throw .invalid(field: "rotate_after_uses", "Only the messages of a key of usage AEAD are counted.")
            }
            try settings.checkRotation(isImported: options.isImported)
        }
    }

    package func create(_ blueprint: Blueprint, caller: Caller) throws(EncryptionError) {
        try policy.check(caller.peer, .create, blueprint.name)
        try blueprint.check()
        try keeper.request(
            .create(blueprint.kind, blueprint.options, blueprint.settings), of: blueprint.name, by: caller.actor)
    }

    /// - Parameter wrapped: As `WrappingKey` takes it.
    package func importKey(_ blueprint: Blueprint, wrapped: [UInt8], caller: Caller) throws(EncryptionError) {
        try policy.check(caller.peer, .importKey, blueprint.name)
        var blueprint = blueprint
        blueprint.options.isImported = true
        try blueprint.check()
        guard let wrapping = keeper.wrappingKey() else { throw .wrappingKeyPending }
        guard var bytes = try? wrapping.key.unwrap(wrapped) else { throw .importFailed }
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        let maker = KeyMaker(publishLead: 0)
        guard let material = try? maker.material(blueprint.kind, bytes: bytes, used: 0) else { throw .importFailed }
        try keeper.request(
            .importKey(material, blueprint.options, blueprint.settings), of: blueprint.name, by: caller.actor)
    }

    /// The public half, PEM, and until when it is good, in microseconds since 1970.
    package func wrappingKey(caller: Caller) throws(EncryptionError) -> (publicKey: String, expiresAt: Int64) {
        guard let wrapping = keeper.wrappingKey() else { throw .wrappingKeyPending }
        return (wrapping.key.publicKey, wrapping.expiresAt)
    }

    /// Asks for a new version; its number. It is primary once it is durable, and a signing key once it is published.
    package func rotate(_ key: String, caller: Caller) throws(EncryptionError) -> UInt32 {
        try policy.check(caller.peer, .rotate, key)
        return try keeper.requestRotation(of: key, by: caller.actor)
    }

    package func configure(
        _ name: String, caller: Caller, change: (inout KeySettingsChange) -> Void
    ) throws(EncryptionError) {
        try policy.check(caller.peer, .configure, name)
        guard let key = keeper.keyring[name] else { throw .unknownKey(name) }
        var settings = KeySettingsChange()
        change(&settings)
        // Where others share the keyring, what changes nothing of what this process knows may change something.
        guard settings != KeySettingsChange(), keeper.store.isShared || settings.applied(to: key.settings) != key.settings else { return }
        try keeper.request(.configure(settings), of: name, by: caller.actor)
    }

    package func disable(_ key: String, caller: Caller) throws(EncryptionError) {
        try policy.check(caller.peer, .disable, key)
        try keeper.request(.disable, of: key, by: caller.actor)
    }

    package func enable(_ key: String, caller: Caller) throws(EncryptionError) {
        try policy.check(caller.peer, .disable, key)
        try keeper.request(.enable, of: key, by: caller.actor)
    }

    /// - Parameter days: The waiting period; 0 for the longest.
    /// - Returns: When it is destroyed, in microseconds since 1970.
    package func scheduleDestruction(_ key: String, days: UInt32, caller: Caller) throws(EncryptionError) -> Int64 {
        try policy.check(caller.peer, .destroy, key)
        guard days == 0 || Self.waitingDays.contains(days) else {
            throw .invalid(field: "waiting_days", "It must be 0, or from 7 to 30.")
        }
        let days = days == 0 ? Self.waitingDays.upperBound : days
        let time = clock() + Int64(days) * 86_400 * 1_000_000
        try keeper.request(.scheduleDestruction(at: time), of: key, by: caller.actor)
        return time
    }

    package func cancelDestruction(_ key: String, caller: Caller) throws(EncryptionError) {
        try policy.check(caller.peer, .destroy, key)
        try keeper.request(.cancelDestruction, of: key, by: caller.actor)
    }

    /// The secret of a version, once the audit log says that it leaves.
    ///
    /// - Parameter version: 0 for the primary one.
    /// - Throws: `exportPending` until then: the caller asks again.
    package func export(
        _ name: String, version: UInt32, caller: Caller
    ) throws(EncryptionError) -> (material: [UInt8], version: UInt32) {
        try policy.check(caller.peer, .export, name)
        guard let key = keeper.keyring[name] else { throw .unknownKey(name) }
        let number = version == 0 ? key.primary(at: clock()).number : version
        guard try keeper.takeExport(of: name, version: number, by: caller.actor) else { throw .exportPending(key: name) }
        // Looked at again: it may have changed since the export was asked for.
        guard key.options.isExportable, let found = try key.usable().version(number) else { throw .notExportable(key: name) }
        guard let material = try? found.material.bytes() else { throw .cryptoFailed }
        return (material, number)
    }

    /// What may be known of a key.
    package func describe(_ name: String, caller: PeerIdentity) throws(EncryptionError) -> KeyDescription {
        try policy.check(caller, .describe, name)
        let (pending, version) = (keeper.pendingChange(of: name), keeper.pendingVersion(of: name))
        guard let key = keeper.keyring[name] else {
            guard let pending, pending.makesKey else { throw .unknownKey(name) }
            return KeyDescription(name: name, key: nil, primary: 0, pending: nil, change: pending)
        }
        let present = key.primary(at: clock())
        let primary = present.isAwaited ? 0 : present.number
        let newest = key.next - 1
        return KeyDescription(
            name: name, key: key, primary: primary, pending: version ?? (newest > primary ? newest : nil), change: pending)
    }

    /// All keys that the caller may know of, by name, those that are being made among them.
    package func list(caller: PeerIdentity) -> [KeyDescription] {
        let names = Set(keeper.keyring.keys.map(\.name)).union(keeper.pendingChanges.filter(\.value.makesKey).keys)
        return names.sorted().compactMap { try? describe($0, caller: caller) }
    }
}

/// What `describe` tells.
package struct KeyDescription: Sendable {
    package let name: String
    /// Nil while it is being made.
    package let key: NamedKey?
    /// The version that seals and signs now; 0 while there is none.
    package let primary: UInt32
    /// The version that will be primary: not durable yet, or a signing key that is published ahead.
    package let pending: UInt32?
    /// What is asked for and not durable yet.
    package let change: KeyChange?
}
