import LibCrypto
import ServiceKit

/// Replaces the master key while services run: step by step, each of them durable before the next begins. Whatever stops it,
/// the keyring opens, and the next call goes on where this one ended.
///
/// | file | keyring sealed under | next step |
/// |---|---|---|
/// | `a` | a | add: a fresh b stands beside it |
/// | `a next b` | a | promote: b is the key, a the old one |
/// | `b old a` | a | seal: the keyring is sealed under b |
/// | `b old a` | b | drop: a goes |
package struct MasterKeyRotation: Sendable {
    package enum Step: String, Sendable, Hashable {
        case add, promote, seal, drop
    }

    private let location: KeyringLocation
    private let file: MasterKeyInFile

    package init(_ location: KeyringLocation) {
        self.location = location
        file = MasterKeyInFile(path: location.masterKey, token: location.token)
    }

    /// The step that comes next.
    package func next() throws -> Step {
        guard let set = try file.read() else { throw KeyringProblem.masterKeyMissing(path: file.path) }
        let id = try sealedUnder()
        guard set.all.contains(where: { $0.id == id }) else {
            throw KeyringProblem.wrongMasterKey(path: file.path, keyring: place)
        }
        if set.next != nil { return .promote }
        guard set.old != nil else { return .add }
        return id == set.key.id ? .drop : .seal
    }

    /// Takes one step.
    ///
    /// - Returns: False for a step that a running service takes, which has not done so yet. True also for one that another command
    ///   has taken meanwhile.
    /// - Throws: `KeyringProblem.masterKeyLocked` while another command takes one.
    package func take(_ step: Step) throws -> Bool {
        // Two commands that both change what they have read could lose the only key that opens the keyring.
        let lock = try lock()
        defer { lock.release() }
        guard try next() == step else { return true }
        switch step {
        case .seal: return try seal()
        case .add, .promote, .drop:
            guard var keys = try file.file() else { throw KeyringProblem.masterKeyMissing(path: file.path) }
            switch step {
            case .add:
                try file.token?.makeKey()
                keys.add(try MasterKeyFile(token: file.token))
            case .promote: keys.promote()
            case .drop, .seal: keys.drop()
            }
            try tell("\(step.rawValue): \(keys.keys(file.token).text)")
            try file.replace(keys)
            return true
        }
    }

    private func lock() throws(KeyringProblem) -> ProcessLock {
        let path = location.masterKey + ".lock"
        do throws(KeyringProblem) {
            return try ProcessLock(path)
        } catch {
            if case .inUse = error { throw .masterKeyLocked(path: path) }
            throw error
        }
    }

    private var place: String { location.database == nil ? location.keyring : SQLKeyringStore.place }

    /// The id of the key under which the durable keyring is sealed.
    private func sealedUnder() throws -> [UInt8] {
        guard let url = location.database else {
            guard let bytes = try PrivateFile.read(location.keyring, maximumCount: KeyringCodec.maximumCount) else {
                throw KeyringProblem.missing(path: location.keyring)
            }
            return try KeyringCodec.masterKeyID(of: bytes, path: location.keyring)
        }
        let database = try url.withExposed { try SQLKeyringStore.database($0) }
        defer { database.close() }
        guard let bytes = try SQLKeyringStore.sealed(database) else { throw KeyringProblem.missing(path: SQLKeyringStore.place) }
        return try KeyringCodec.masterKeyID(of: bytes, path: SQLKeyringStore.place)
    }

    private func seal() throws -> Bool {
        try changed { store, keyring in
            guard try store.isToBeSealedAnew(), let key = store.sealing else { return nil }
            return KeyringKeeper.sealing(under: key)
        }
    }

    /// Has the audit log tell of a step, before it is taken. A service that has the keyring's file to itself has the log, too: it
    /// tells when it finds the step taken.
    private func tell(_ detail: String) throws {
        _ = try changed { _, _ in .masterKeys(detail, by: "operator") }
    }

    /// Tells the log of something, and seals the keyring, which then knows of that.
    ///
    /// - Parameter entry: Nil when there is nothing to do.
    /// - Returns: False where a service does it, or others are quicker again and again.
    private func changed(_ entry: (any KeyringStore, Keyring) throws -> AuditEntry?) throws -> Bool {
        let maker = KeyMaker(publishLead: 0)
        if let url = location.database {
            let codec = KeyringCodec(path: place, masterKeys: try .open(file, keyring: place, mayCreate: false), maker: maker)
            let database = try url.withExposed { try SQLKeyringStore.database($0) }
            defer { database.close() }
            return try Self.changed(SQLKeyringStore(database, codec: codec), entry, now: systemClock())
        }
        do {
            let audit = AuditLog(path: location.audit, beginsAfter: location.auditBeginsAfter, clock: systemClock)
            defer { audit.close() }
            let (store, keyring) = try FileKeyringStore.open(
                location, wanted: [], mayCreate: false, maker: maker, audit: audit, now: systemClock())
            defer { store.release() }
            guard let entry = try entry(store, keyring) else { return true }
            let head = try audit.append([entry], known: keyring.audit)
            try store.save(keyring.changed(audit: head) { _ in })
            return true
        } catch KeyringProblem.inUse {
            return false
        }
    }

    /// Again, should a process that shares the keyring change it meanwhile.
    private static func changed(
        _ store: SQLKeyringStore, _ entry: (any KeyringStore, Keyring) throws -> AuditEntry?, now: Int64
    ) throws -> Bool {
        for _ in 0..<16 {
            guard let keyring = try store.load(otherThan: .max) else { throw KeyringProblem.missing(path: SQLKeyringStore.place) }
            guard let entry = try entry(store, keyring) else { return true }
            let records = try AuditRecord.lines([entry], after: keyring.audit, time: now)
            do {
                try store.save(keyring.changed(audit: records.last?.record.head) { _ in }, records: records)
                return true
            } catch KeyringProblem.superseded {
                continue
            }
        }
        return false
    }
}
