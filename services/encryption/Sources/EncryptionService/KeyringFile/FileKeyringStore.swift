import LibCrypto
package import ServiceKit

/// Where a keyring is.
package struct KeyringLocation: Sendable, Hashable {
    package var keyring: String
    package var masterKey: String
    /// The log of key administration.
    package var audit: String
    /// The record of that log after which a new file may begin; 0 for none.
    package var auditBeginsAfter: UInt64 = 0
    /// The database that holds keyring and log in the place of those files, for several processes; its URL may hold a
    /// password.
    package var database: Redacted<String>?
    /// A file descriptor that holds the master key in the place of its file.
    package var masterKeyDescriptor: Int32?
    /// The token whose key has sealed the master key; nil when it is there as it is.
    package var token: PKCS11Token?

    /// - Parameter audit: Nil for a file beside the keyring.
    package init(keyring: String, masterKey: String, audit: String? = nil, database: Redacted<String>? = nil) {
        self.keyring = keyring
        self.masterKey = masterKey
        self.audit = audit ?? keyring + ".audit"
        self.database = database
    }

    var masterKeySource: any MasterKeySource {
        if let masterKeyDescriptor {
            MasterKeyInDescriptor(descriptor: masterKeyDescriptor, token: token)
        } else {
            MasterKeyInFile(path: masterKey, token: token)
        }
    }

    /// Says that a keyring was made here: without it, a lost keyring would look like a first start.
    var mark: String { keyring + ".made" }
    var lock: String { keyring + ".lock" }
    /// What was ever reserved, so that a keyring from a backup does not count again what its keys have sealed.
    var reserves: String { keyring + ".reserves" }
    /// Says that this process used a keyring in a database: an empty one is then not taken for a first start.
    var sharedMark: String { keyring + ".shared" }
}

/// The keyring file, held by one process. Does I/O: used at start and by the keyring thread only.
struct FileKeyringStore: KeyringStore {
    private let location: KeyringLocation
    private let codec: KeyringCodec
    private let lock: ProcessLock
    private let highWater: HighWater
    /// When the keyring was found to be older than the one that was written last: both generations.
    let putBack: (generation: UInt64, written: UInt64)?

    /// Opens the keyring, or makes it when there never was one and `mayCreate` says so.
    ///
    /// - Throws: `KeyringProblem`, never changing a file that exists.
    static func open(
        _ location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, maker: KeyMaker, audit: AuditLog,
        now: Int64
    ) throws(KeyringProblem) -> (FileKeyringStore, Keyring) {
        // The same keys with two counters: what was moved away is not used again.
        if PrivateFile.exists(location.sharedMark) { throw .movedAway(path: location.keyring, mark: location.sharedMark) }
        let lock = try ProcessLock(location.lock)
        let file = try PrivateFile.read(location.keyring, maximumCount: KeyringCodec.maximumCount)
        if file == nil, PrivateFile.exists(location.mark) {
            throw .lost(path: location.keyring, mark: location.mark)
        }
        let masterKeys = try MasterKeys.open(
            location.masterKeySource, keyring: file == nil ? nil : location.keyring, mayCreate: mayCreate)
        let codec = KeyringCodec(path: location.keyring, masterKeys: masterKeys, maker: maker)
        let opened = try file.map { (file) throws(KeyringProblem) in try codec.open(file) }
        let highWater = try HighWater(path: location.reserves, codec: codec)
        let putBack = opened.flatMap { opened in highWater.later(than: opened).map { (opened.generation, $0) } }
        let store = FileKeyringStore(location: location, codec: codec, lock: lock, highWater: highWater, putBack: putBack)
        let found = opened.map { highWater.raised($0) }
        if let file { masterKeys.note(present: try KeyringCodec.masterKeyID(of: file, path: location.keyring)) }
        let keyring = try store.completed(found, wanted, mayCreate: mayCreate, audit: audit, now: now)
        return (store, keyring)
    }

    /// Makes this the durable keyring.
    func save(_ keyring: Keyring, records: [AuditRecord.Line] = []) throws(KeyringProblem) {
        let sealed = try codec.seal(keyring)
        try highWater.write(keyring)
        try PrivateFile.replace(location.keyring, sealed)
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: sealed, path: location.keyring))
    }

    func isToBeSealedAnew() throws(KeyringProblem) -> Bool { try codec.masterKeys.look() }
    var sealing: MasterKey? { codec.masterKeys.sealing }
    var masterKeys: String? { codec.masterKeys.text }

    /// What the file holds now: somebody may have put another one there, which must be a later one.
    func load(otherThan generation: UInt64) throws(KeyringProblem) -> Keyring? {
        guard let file = try PrivateFile.read(location.keyring, maximumCount: KeyringCodec.maximumCount) else {
            throw .lost(path: location.keyring, mark: location.mark)
        }
        let keyring = try codec.open(file)
        guard keyring.generation != generation else { return nil }
        guard keyring.generation > generation else {
            throw .older(path: location.keyring, generation: keyring.generation, known: generation)
        }
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: file, path: location.keyring))
        return highWater.raised(keyring)
    }

    /// Lets another process open the keyring.
    func release() { lock.release() }

    /// The keyring with every wanted key in it, durable.
    private func completed(
        _ found: Keyring?, _ wanted: [KeySpecification], mayCreate: Bool, audit: AuditLog, now: Int64
    ) throws(KeyringProblem) -> Keyring {
        guard found != nil || mayCreate else { throw .missing(path: location.keyring) }
        let present = found ?? Keyring(generation: 0, keys: [])
        let made = try present.missing(wanted, mayCreate: mayCreate, place: location.keyring, maker: codec.maker, now: now)
        var keyring = present
        if found == nil || !made.isEmpty {
            let entries = made.map(\.entry)
            let head = entries.isEmpty ? present.audit : try audit.append(entries, known: present.audit)
            keyring = present.changed(audit: head) { keys in for key in made { keys[key.name] = key } }
            try save(keyring)
        }
        // After the file: a crash between the two leaves a keyring without a mark, which the next start makes good.
        if !PrivateFile.exists(location.mark) { try PrivateFile.create(location.mark, []) }
        return keyring
    }
}

extension Keyring {
    /// Keys that configuration asks for and that are not in it, made now.
    ///
    /// - Parameter place: How the keyring is called in texts of errors.
    func missing(
        _ wanted: [KeySpecification], mayCreate: Bool, place: String, maker: KeyMaker, now: Int64
    ) throws(KeyringProblem) -> [NamedKey] {
        var made: [NamedKey] = []
        for specification in wanted {
            if let key = self[specification.name] {
                guard key.kind == specification.kind else {
                    throw .wrongUsage(
                        name: key.name, path: place, expected: specification.usage.rawValue, origin: specification.origin)
                }
            } else {
                guard mayCreate, specification.origin.mayBeMade else {
                    throw .keyMissing(name: specification.name, path: place, origin: specification.origin)
                }
                guard count + made.count < Self.maximumKeys else { throw .tooManyKeys(path: place) }
                guard let key = try? maker.first(specification, now: now) else {
                    throw .crypto("cannot make the key \(specification.name)")
                }
                made.append(key)
            }
        }
        return made
    }
}

extension NamedKey {
    /// What the audit log tells of a key that configuration asked for.
    var entry: AuditEntry {
        AuditEntry(action: "CREATE", key: name, actor: "configuration", detail: "\(kind.text), version 1")
    }
}
