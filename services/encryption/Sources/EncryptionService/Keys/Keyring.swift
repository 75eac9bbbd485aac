/// All keys at one moment: an immutable value that handlers read. Only the keyring thread makes new ones.
package struct Keyring: Sendable {
    /// The most keys a keyring holds.
    package static let maximumKeys = 1024
    /// The most versions a key has.
    package static let maximumVersions = 1024

    /// Grows by one with each version of the file.
    package private(set) var generation: UInt64
    /// The last entry of the audit log that this keyring knows of: the log must hold it.
    package private(set) var audit: AuditHead
    private var byName: [String: NamedKey]

    package init(generation: UInt64, audit: AuditHead = .none, keys: [NamedKey]) {
        self.generation = generation
        self.audit = audit
        self.byName = Dictionary(keys.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The key of that name.
    package subscript(name: String) -> NamedKey? { byName[name] }

    /// The keys in the order of their names.
    package var keys: [NamedKey] { byName.values.sorted { $0.name < $1.name } }

    /// How many keys there are.
    package var count: Int { byName.count }

    /// The signing keys in the order of their names.
    package var signingKeys: [NamedKey] { keys.filter { $0.usage == .sign } }

    /// The next keyring, with these changes made to it.
    ///
    /// - Parameter audit: The last entry that tells of them; nil when they are none that are audited.
    package func changed(audit: AuditHead? = nil, _ change: (inout [String: NamedKey]) -> Void) -> Keyring {
        var next = self
        next.audit = audit ?? self.audit
        change(&next.byName)
        next.generation += 1
        return next
    }

    /// With what all processes together have reserved. That is no change of the keys: the generation stays.
    func noting(_ blocks: [ReservedBlock]) -> Keyring {
        var next = self
        for block in blocks {
            guard let version = next.byName[block.key]?.version(block.version), version.reserved < block.upTo else { continue }
            next.byName[block.key]?.reserve(block.version, upTo: block.upTo)
            if case .aead(_, let meter) = version.material { meter.note(reserved: block.upTo) }
        }
        return next
    }

    /// With the meters of this process in the place of fresh ones, where the keys are the same.
    func keepingMeters(of other: Keyring) -> Keyring {
        var next = self
        for (name, key) in other.byName { next.byName[name]?.keepMeters(of: key) }
        return next
    }

    /// Whether a version waits until every process has it.
    var isAwaiting: Bool { byName.values.contains(where: \.isAwaited) }
}
