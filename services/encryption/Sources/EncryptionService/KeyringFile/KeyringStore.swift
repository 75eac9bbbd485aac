import LibCrypto

/// Where a keyring is on disk.
package struct KeyringLocation: Sendable, Hashable {
    package var keyring: String
    package var masterKey: String
    /// The log of key administration.
    package var audit: String
    /// The record of that log after which a new file may begin; 0 for none.
    package var auditBeginsAfter: UInt64 = 0

    /// - Parameter audit: Nil for a file beside the keyring.
    package init(keyring: String, masterKey: String, audit: String? = nil) {
        self.keyring = keyring
        self.masterKey = masterKey
        self.audit = audit ?? keyring + ".audit"
    }

    /// Says that a keyring was made here: without it, a lost keyring would look like a first start.
    var mark: String { keyring + ".made" }
    var lock: String { keyring + ".lock" }
}

/// The keyring file, held by one process. Does I/O: used at start and by the keyring thread only.
struct KeyringStore: Sendable {
    private let location: KeyringLocation
    private let codec: KeyringCodec
    private let lock: ProcessLock

    /// Opens the keyring, or makes it when there never was one and `mayCreate` says so.
    ///
    /// - Throws: `KeyringProblem`, never changing a file that exists.
    static func open(
        _ location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, maker: KeyMaker, audit: AuditLog,
        now: Int64
    ) throws(KeyringProblem) -> (KeyringStore, Keyring) {
        let lock = try ProcessLock(location.lock)
        let file = try PrivateFile.read(location.keyring, maximumCount: KeyringCodec.maximumCount)
        if file == nil, PrivateFile.exists(location.mark) {
            throw .lost(path: location.keyring, mark: location.mark)
        }
        let masterKey = try masterKey(location, keyringExists: file != nil, mayCreate: mayCreate)
        let codec = KeyringCodec(
            path: location.keyring, masterKeyPath: location.masterKey, masterKey: masterKey, maker: maker)
        let store = KeyringStore(location: location, codec: codec, lock: lock)
        let found = try file.map { (file) throws(KeyringProblem) in try codec.open(file) }
        let keyring = try store.completed(found, wanted, mayCreate: mayCreate, audit: audit, now: now)
        return (store, keyring)
    }

    /// Makes this the durable keyring.
    func save(_ keyring: Keyring) throws(KeyringProblem) {
        try PrivateFile.replace(location.keyring, codec.seal(keyring))
    }

    /// Lets another process open the keyring.
    func release() { lock.release() }

    private static func masterKey(
        _ location: KeyringLocation, keyringExists: Bool, mayCreate: Bool
    ) throws(KeyringProblem) -> MasterKey {
        if let key = try MasterKey.read(location.masterKey) { return key }
        guard !keyringExists else {
            throw .masterKeyLost(path: location.masterKey, keyring: location.keyring)
        }
        guard mayCreate else { throw .masterKeyMissing(path: location.masterKey) }
        return try MasterKey.create(location.masterKey)
    }

    /// The keyring with every wanted key in it, durable.
    private func completed(
        _ found: Keyring?, _ wanted: [KeySpecification], mayCreate: Bool, audit: AuditLog, now: Int64
    ) throws(KeyringProblem) -> Keyring {
        guard found != nil || mayCreate else { throw .missing(path: location.keyring) }
        let present = found ?? Keyring(generation: 0, keys: [])
        var made: [NamedKey] = []
        for specification in wanted {
            if let key = present[specification.name] {
                guard key.kind == specification.kind else {
                    throw .wrongUsage(
                        name: key.name, path: location.keyring, expected: specification.usage.rawValue)
                }
            } else {
                guard mayCreate else { throw .keyMissing(name: specification.name, path: location.keyring) }
                made.append(try make(specification, now: now))
            }
        }
        var keyring = present
        if found == nil || !made.isEmpty {
            let entries = made.map {
                AuditEntry(action: "CREATE", key: $0.name, actor: "configuration", detail: "\($0.kind.text), version 1")
            }
            let head = entries.isEmpty ? present.audit : try audit.append(entries, known: present.audit)
            keyring = present.changed(audit: head) { keys in for key in made { keys[key.name] = key } }
            try save(keyring)
        }
        // After the file: a crash between the two leaves a keyring without a mark, which the next start makes good.
        if !PrivateFile.exists(location.mark) { try PrivateFile.create(location.mark, []) }
        return keyring
    }

    private func make(_ specification: KeySpecification, now: Int64) throws(KeyringProblem) -> NamedKey {
        guard let key = try? codec.maker.first(specification, now: now) else {
            throw .crypto("cannot make the key \(specification.name)")
        }
        return key
    }
}
