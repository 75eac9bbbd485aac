/// Where a keyring is durable. All of this waits for the disk or the network: it is called at start and by the keyring
/// thread, never by a handler.
protocol KeyringStore: Sendable {
    /// Whether other processes use it too. Then it also keeps the audit log, and tells who has what.
    var isShared: Bool { get }

    /// Makes this the durable keyring, in the place of the one whose generation is one less.
    ///
    /// - Parameter records: What the audit log is to hold of it; for shared stores, others have a log of their own.
    /// - Throws: `KeyringProblem.superseded` when another process changed it since: nothing is written then.
    func save(_ keyring: Keyring, records: [AuditRecord.Line]) throws

    /// Reserves messages, durable when this returns. No message is ever reserved twice.
    ///
    /// - Returns: The keyring that knows of them, and the blocks.
    /// - Throws: `KeyringProblem.superseded` when `keyring` is not the present one.
    func reserve(_ requests: [ReserveRequest], of keyring: Keyring) throws -> (keyring: Keyring, blocks: [ReservedBlock])

    /// The durable keyring; nil when it is of this generation.
    ///
    /// - Throws: `KeyringProblem` for one that does not come after what this process knows: nothing of it is taken over.
    func load(otherThan generation: UInt64) throws -> Keyring?

    /// Looks at the master key, and says whether the keyring is to be sealed anew, under another one.
    func isToBeSealedAnew() throws -> Bool
    /// The master key under which this process seals; nil for a store that seals nothing.
    var sealing: MasterKey? { get }
    /// The master keys that there are, where this process alone can tell the audit log of them; nil elsewhere.
    var masterKeys: String? { get }

    /// Follows the audit log, where the store keeps it, from its first line to this record.
    ///
    /// - Throws: `KeyringProblem.auditMismatch`.
    func followAudit(to head: AuditHead) throws

    /// Says that this process lives and has the keyring of this generation, and looks who else does.
    ///
    /// - Parameter gone: Those that have lapsed: they are forgotten, unless they have just said something.
    func meet(holding generation: UInt64, forgetting gone: [Replica]) throws -> Meeting

    /// Lets go of it: others need not wait for this process any more.
    func release()
}

/// A wish for more messages of one version of a key.
struct ReserveRequest: Sendable, Hashable {
    let key: String
    let version: UInt32
    /// How many at once.
    let step: UInt64
    /// From here on the key is rotated ...
    let rotateAt: UInt64
    /// ... and gets no more, unless that cannot be.
    let isRotated: Bool
    let maximum: UInt64

    /// Up to where messages are reserved, when so many are already.
    func extended(_ reserved: UInt64) -> UInt64 {
        let bound = isRotated || reserved < rotateAt ? rotateAt : maximum
        return min(reserved + step, max(bound, reserved))
    }
}

/// Messages from `from`, up to and without `upTo`, that one process may seal and no other.
struct ReservedBlock: Sendable, Hashable {
    let key: String
    let version: UInt32
    let from: UInt64
    let upTo: UInt64
}

/// A process that shares the keyring, as the store knows it.
struct Replica: Sendable, Hashable {
    /// Random, of one process's life.
    let id: String
    /// Grows each time it says that it lives.
    let beat: Int64
    /// The generation that it has.
    let holds: UInt64
    /// How long it is to be waited for, in microseconds; 0 for as long as the looker's own lease.
    var lease: Int64 = 0
}

/// What a look at a shared store tells.
struct Meeting: Sendable, Hashable {
    /// The generation of the durable keyring; 0 when there is none.
    let generation: UInt64
    let others: [Replica]
}

/// What a store has that one process alone uses.
extension KeyringStore {
    var isShared: Bool { false }

    func reserve(_ requests: [ReserveRequest], of keyring: Keyring) throws -> (keyring: Keyring, blocks: [ReservedBlock]) {
        let blocks = requests.compactMap { request -> ReservedBlock? in
            guard let reserved = keyring[request.key]?.version(request.version)?.reserved else { return nil }
            let end = request.extended(reserved)
            return end > reserved
                ? ReservedBlock(key: request.key, version: request.version, from: reserved, upTo: end) : nil
        }
        guard !blocks.isEmpty else { return (keyring, []) }
        let next = keyring.changed { byName in
            for block in blocks { byName[block.key]?.reserve(block.version, upTo: block.upTo) }
        }
        try save(next, records: [])
        return (next, blocks)
    }

    func load(otherThan generation: UInt64) throws -> Keyring? { nil }

    func followAudit(to head: AuditHead) throws {}

    func isToBeSealedAnew() throws -> Bool { false }
    var sealing: MasterKey? { nil }
    var masterKeys: String? { nil }

    func meet(holding generation: UInt64, forgetting gone: [Replica]) throws -> Meeting {
        Meeting(generation: generation, others: [])
    }
}

/// A store that is a function.
struct SavingStore: KeyringStore {
    let write: @Sendable (Keyring) throws -> Void
    let letGo: @Sendable () -> Void

    func save(_ keyring: Keyring, records: [AuditRecord.Line]) throws { try write(keyring) }
    func release() { letGo() }
}
