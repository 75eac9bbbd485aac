import JOSE

/// A change of a key, as a caller asks for it or as the keyring thread makes it by itself.
package enum KeyChange: Sendable {
    case create(KeyKind, KeyOptions, KeySettings)
    /// With the material that came from elsewhere.
    case importKey(KeyMaterial, KeyOptions, KeySettings)
    case rotate
    case configure(KeySettingsChange)
    case disable
    case enable
    case scheduleDestruction(at: Int64)
    case cancelDestruction
    /// The waiting period is over.
    case destroy
    /// Changes nothing in the key: its secret may leave once this is in the audit log.
    case export(UInt32)

    /// As the audit log and `pending_change` have it.
    package var action: String {
        switch self {
        case .create: "CREATE"
        case .importKey: "IMPORT"
        case .rotate: "ROTATE"
        case .configure: "CONFIGURE"
        case .disable: "DISABLE"
        case .enable: "ENABLE"
        case .scheduleDestruction: "SCHEDULE_DESTRUCTION"
        case .cancelDestruction: "CANCEL_DESTRUCTION"
        case .destroy: "DESTROY"
        case .export: "EXPORT"
        }
    }

    /// All of those.
    static let actions: Set = [
        "CREATE", "IMPORT", "ROTATE", "CONFIGURE", "DISABLE", "ENABLE", "SCHEDULE_DESTRUCTION", "CANCEL_DESTRUCTION", "DESTROY", "EXPORT",
    ]

    var makesKey: Bool {
        switch self {
        case .create, .importKey: true
        default: false
        }
    }
}

/// A change that is asked for, and by whom.
package struct KeyOrder: Sendable {
    package let key: String
    package let change: KeyChange
    package let actor: KeyActor

    var entry: AuditEntry {
        AuditEntry(action: change.action, key: key, actor: actor.name, requestID: actor.requestID)
    }
}

/// Who asks for a change of a key.
package struct KeyActor: Sendable, Hashable {
    /// What the keyring thread does by itself.
    static let keyring = KeyActor(name: "keyring")

    /// A service's name.
    package let name: String
    package let requestID: String

    package init(name: String, requestID: String = "") {
        self.name = name
        self.requestID = requestID
    }
}

extension KeyChange {
    /// Whether it can be made of `key` as it is.
    ///
    /// - Parameters:
    ///   - key: Nil when there is none of that name.
    ///   - isWanted: Whether configuration says that the key must exist.
    func check(_ name: String, _ key: NamedKey?, isWanted: Bool, now: Int64) throws(EncryptionError) {
        guard !makesKey else {
            if key != nil { throw .keyExists(name) }
            return
        }
        guard let key else { throw .unknownKey(name) }
        switch (self, key.state) {
        case (.create, _), (.importKey, _): return
        case (.destroy, .pendingDestruction(let time)) where time <= now:
            // Configuration has come to want it meanwhile.
            if isWanted { throw .keyInUse(name) }
        case (.destroy, _): throw .notPendingDestruction(key: name)
        case (.cancelDestruction, .pendingDestruction): return
        case (.cancelDestruction, _): throw .notPendingDestruction(key: name)
        case (_, .pendingDestruction): throw .keyPendingDestruction(key: name)
        case (.scheduleDestruction, _):
            // The next start would miss it, or make another one in its place.
            if isWanted { throw .keyInUse(name) }
        case (.rotate, _):
            guard key.versions.count < Keyring.maximumVersions else { throw .tooManyVersions(key: name) }
            // A second version would be a random one, which whoever brought the first does not have.
            if key.options.isImported { throw .importedKey(name) }
            if key.isAwaited { throw .changePending(key: name, action) }
        case (.configure(let change), _): try change.applied(to: key.settings).check(against: key, now: now)
        case (.export(let version), _):
            guard key.options.isExportable else { throw .notExportable(key: name) }
            guard key.version(version) != nil else { throw .unknownVersion(key: name, version) }
        case (.disable, _), (.enable, _): return
        }
    }

    /// The key as it is afterwards, nil when it is no more, and what the audit log says beside the action.
    ///
    /// `check` has passed.
    func applied(
        to name: String, _ key: NamedKey?, maker: KeyMaker, now: Int64
    ) throws -> (key: NamedKey?, detail: String) {
        switch self {
        case .create(let kind, let options, let settings):
            guard let specification = KeySpecification(name: name, kind: kind),
                let made = try maker.first(specification, now: now)
            else { throw EncryptionError.unknownKey(name) }
            return try Self.new(name, made.versions[0].material, options, settings, maker: maker, now: now)
        case .importKey(let material, let options, let settings):
            return try Self.new(name, material, options, settings, maker: maker, now: now)
        default: break
        }
        guard var key else { throw EncryptionError.unknownKey(name) }
        switch self {
        case .create, .importKey, .destroy: return (nil, "versions 1 to \(key.versions.count)")
        case .rotate:
            key.append(try maker.next(of: key, now: now))
            return (key, "version \(key.next - 1)")
        case .configure(let change):
            let before = key.settings
            key.settings = change.applied(to: before)
            return (key, before.difference(key.settings))
        case .disable:
            key.state = .disabled
            return (key, "")
        case .enable:
            key.state = .enabled
            return (key, "")
        case .scheduleDestruction(let time):
            key.state = .pendingDestruction(at: time)
            return (key, "at \(time / 1_000_000) s since 1970")
        case .cancelDestruction:
            key.state = .disabled
            return (key, "")
        case .export(let version): return (key, "version \(version)")
        }
    }

    private static func new(
        _ name: String, _ material: KeyMaterial, _ options: KeyOptions, _ settings: KeySettings, maker: KeyMaker, now: Int64
    ) throws -> (key: NamedKey?, detail: String) {
        let reserved = material.kind == .aead ? maker.limits.step(settings) : 0
        let version = KeyVersion(
            number: 1, createdAt: now, activeAt: maker.isShared ? KeyVersion.awaited : now, reserved: reserved, material: material)
        let key = NamedKey(name: name, kind: material.kind, options: options, settings: settings, versions: [version])
        guard let key else { throw EncryptionError.unknownKey(name) }
        return (key, ([material.kind.text, "version 1"] + options.words).joined(separator: ", "))
    }
}

extension Keyring {
    /// Whether a key can be made or brought in beside those that are there.
    ///
    /// - Parameter coming: What is done with it at once.
    func check(_ change: KeyChange, with coming: [KeyOrder]) throws(EncryptionError) {
        guard change.makesKey else { return }
        let more = coming.reduce(0) { $0 + ($1.change.makesKey ? 1 : 0) - ($1.change.isDestruction ? 1 : 0) }
        guard count + more < Self.maximumKeys else { throw .tooManyKeys }
        guard let kid = change.kid else { return }
        // Two names for one key that signs would be two rules for who may verify with it.
        let known = signingKeys.first { $0.versions.contains { $0.material.kid == kid } }?.name
        if let name = known ?? coming.first(where: { $0.change.kid == kid })?.key { throw .keyHasAnotherName(name) }
    }
}

extension KeyChange {
    fileprivate var isDestruction: Bool { if case .destroy = self { true } else { false } }

    /// Of a key that is brought in to sign.
    fileprivate var kid: String? { if case .importKey(let material, _, _) = self { material.kid } else { nil } }
}

extension KeyMaterial {
    /// Of a key that signs.
    var kid: String? { if case .sign(_, let kid) = self { kid } else { nil } }
}

extension KeySettings {
    /// Whether these can be the settings of `key`.
    func check(against key: NamedKey, now: Int64) throws(EncryptionError) {
        let primary = key.primary(at: now).number
        guard (1...primary).contains(minDecryption) else {
            throw .invalid(field: "min_decryption_version", "It must be from 1 to \(primary), the primary version.")
        }
        guard minEncryption == 0 || (minDecryption...primary).contains(minEncryption) else {
            throw .invalid(
                field: "min_encryption_version",
                "It must be 0, or from \(minDecryption), the min_decryption_version, to \(primary), the primary version.")
        }
        if key.usage != .aead, rotateAfterUses > 0 {
            throw .invalid(field: "rotate_after_uses", "Only the messages of a key of usage AEAD are counted.")
        }
        try checkRotation(isImported: key.options.isImported)
    }

    func checkRotation(isImported: Bool) throws(EncryptionError) {
        guard rotateAfter == 0 || Self.rotateAfterBounds.contains(rotateAfter) else {
            throw .invalid(field: "rotate_after_s", "It must be 0, or from 86400 (a day) to 315360000.")
        }
        guard rotateAfterUses == 0 || Self.rotateAfterUsesBounds.contains(rotateAfterUses) else {
            throw .invalid(field: "rotate_after_uses", "It must be 0, or from 1 to 2147483648.")
        }
        if isImported, rotateAfter > 0 || rotateAfterUses > 0 {
            throw .invalid(field: "rotate_after_s", "An imported key is not rotated: import the next one under a new name.")
        }
    }

    /// `min_decryption_version 1 to 2, ...`
    fileprivate func difference(_ after: KeySettings) -> String {
        let rows: [(String, UInt64, UInt64)] = [
            ("min_decryption_version", UInt64(minDecryption), UInt64(after.minDecryption)),
            ("min_encryption_version", UInt64(minEncryption), UInt64(after.minEncryption)),
            ("rotate_after_s", rotateAfter, after.rotateAfter),
            ("rotate_after_uses", rotateAfterUses, after.rotateAfterUses),
        ]
        return rows.filter { $0.1 != $0.2 }.map { "\($0.0) \($0.1) to \($0.2)" }.joined(separator: ", ")
    }
}

extension KeyKind {
    /// `SIGN EdDSA`
    package var text: String { ([usage.rawValue] + [algorithm?.rawValue].compactMap(\.self)).joined(separator: " ") }
}

extension KeyOptions {
    fileprivate var words: [String] {
        [(isExportable, "exportable"), (isDerived, "derived"), (isImported, "imported")].filter(\.0).map(\.1)
    }
}
