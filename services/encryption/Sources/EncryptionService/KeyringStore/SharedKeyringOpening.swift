import ServiceKit

/// How a process comes to a keyring in a database.
struct SharedKeyringOpening {
    private static let attempts = 16

    private let location: KeyringLocation
    private let wanted: [KeySpecification]
    private let mayCreate: Bool
    let maker: KeyMaker
    private let lease: Int64
    private let now: Int64

    /// - Parameter lease: How long others are to wait for this process, in microseconds.
    init(
        location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, maker: KeyMaker, lease: Int64 = Sharing().lease,
        now: Int64
    ) {
        self.location = location
        self.wanted = wanted
        self.mayCreate = mayCreate
        var maker = maker
        maker.isShared = true
        self.maker = maker
        self.lease = lease
        self.now = now
    }

    /// The store, which others wait for from now on, and what it holds.
    ///
    /// - Throws: `KeyringProblem`, never changing a keyring that exists but for the keys that are missing in it.
    func open() throws(KeyringProblem) -> (SQLKeyringStore, Keyring) {
        guard let url = location.database else { throw .unreachable(reason: "there is no URL") }
        let database = try url.withExposed { (url) throws(KeyringProblem) in try SQLKeyringStore.database(url) }
        let holdsKeyring = try SQLKeyringStore.holdsKeyring(database)
        if !holdsKeyring { try checkFirstStart() }
        let masterKeys = try MasterKeys.open(
            location.masterKeySource, keyring: holdsKeyring ? SQLKeyringStore.place : nil, mayCreate: mayCreate)
        let codec = KeyringCodec(path: SQLKeyringStore.place, masterKeys: masterKeys, maker: maker)
        let store = try SQLKeyringStore(
            database, codec: codec, lease: lease, memory: SharedMark(path: location.sharedMark),
            beginsAfter: location.auditBeginsAfter)
        do {
            return (store, try opened(store))
        } catch {
            store.release()
            throw (error as? KeyringProblem) ?? .unreachable(reason: "\(error)")
        }
    }

    /// An empty database is no first start where there was a keyring.
    private func checkFirstStart() throws(KeyringProblem) {
        if PrivateFile.exists(location.sharedMark) { throw .sharedLost(mark: location.sharedMark) }
        for path in [location.keyring, location.mark] where PrivateFile.exists(path) { throw .notMoved(path: location.keyring) }
    }

    private func opened(_ store: SQLKeyringStore) throws -> Keyring {
        // Before it is loaded: so no version becomes primary between that and the first word of this process.
        _ = try store.meet(holding: 0, forgetting: [])
        for _ in 0..<Self.attempts {
            do {
                let keyring = try completed(store)
                try SharedMark(path: location.sharedMark).raise(to: keyring.generation)
                return keyring
            } catch KeyringProblem.superseded {
                continue
            }
        }
        throw KeyringProblem.superseded
    }

    /// The keyring with every wanted key in it, durable.
    private func completed(_ store: SQLKeyringStore) throws -> Keyring {
        // Read before: the store writes there what it loads.
        let (mark, seen) = (location.sharedMark, try SharedMark(path: location.sharedMark).read())
        let found = try store.load(otherThan: .max)
        if let found, found.generation < seen {
            throw KeyringProblem.sharedPutBack(generation: found.generation, known: seen, mark: mark)
        }
        guard found != nil || mayCreate else { throw KeyringProblem.missing(path: SQLKeyringStore.place) }
        let present = found ?? Keyring(generation: 0, keys: [])
        let made = try present.missing(wanted, mayCreate: mayCreate, place: SQLKeyringStore.place, maker: maker, now: now)
        let beginning = try store.auditBeginning(after: present.audit)
        if let found, made.isEmpty, beginning == nil { return found }
        if found != nil, beginning == nil { try store.followAudit(to: present.audit) }
        let entries = [beginning].compactMap(\.self) + made.map(\.entry)
        let records = try AuditRecord.lines(entries, after: present.audit, time: now)
        let keyring = present.changed(audit: records.last?.record.head) { byName in
            for var key in made {
                if found != nil { key.hold() }
                byName[key.name] = key
            }
        }
        if found == nil { try store.create(keyring, records: records) } else { try store.save(keyring, records: records) }
        return keyring
    }
}
