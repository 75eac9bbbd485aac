import LibCrypto

/// How processes that share a keyring keep together. Microseconds.
package struct Sharing: Sendable, Hashable {
    /// Between two looks at the store.
    package var poll: Int64
    /// How long a process that says nothing is waited for.
    package var lease: Int64

    package init(poll: Int64 = 1_000_000, lease: Int64 = 15_000_000) {
        self.poll = poll
        self.lease = lease
    }
}

extension KeyringKeeper {
    /// How often a change is made again of what another process has made of the keyring.
    private static let attempts = 16

    // MARK: What handlers ask

    /// Whether others do not wait for this process any more, since it did not reach the store for a lease: there may be keys
    /// and versions that it does not know.
    package var isStale: Bool { age > watch.withLock { $0.ownLease } }

    /// Whether there may be tokens by now that are signed with keys which this process does not know: a version signs
    /// `publishLead` after every process that lives has it, and not before.
    package var mayMissSigningKeys: Bool { age > max(watch.withLock { $0.ownLease }, maker.publishLead) }

    /// Since it was known that this is the newest keyring, in microseconds. Nobody else changes one that is not shared.
    private var age: Int64 {
        guard store.isShared else { return 0 }
        return published.withLock { $0.current }.map { uptime() - $0 } ?? .max
    }

    // MARK: The thread

    /// Meets the others and takes over what is new; or reads the file anew, when that is asked for.
    func keepUp(_ work: Inbox) throws {
        guard store.isShared else {
            if work.wantsReload { try readAnew() }
            sealAnew()
            return
        }
        do {
            try gather()
            setUnreachable(by: nil)
            sealAnew()
        } catch {
            inbox.withLock { $0.reserves.formUnion(work.reserves) }
            setUnreachable(by: error)
            throw error
        }
    }

    private func setUnreachable(by error: (any Error)?) {
        let was = published.withLock { snapshot in
            defer { snapshot.isUnreachable = error != nil }
            return snapshot.isUnreachable
        }
        if let error, !was { report(.unreachable(error)) }
        if error == nil, was { report(.reachable) }
    }

    /// Says that this process lives and what it has, until that is the newest.
    ///
    /// - Throws: also what the store says of a keyring that does not come after the one in use, which then stays in use.
    func gather() throws {
        guard store.isShared else { return }
        for _ in 0..<Self.attempts {
            // Whoever cannot open what is there says no more that it lives: nothing is gained by waiting for it.
            if isBehind.load(ordering: .relaxed) { try takeOver() }
            try prepare()
            let (start, held) = (uptime(), keyring.generation)
            let meeting = try store.meet(holding: held, forgetting: watch.withLock { $0.lapsed })
            watch.withLock { $0.look(meeting.others, at: uptime()) }
            guard meeting.generation != held else { return published.withLock { $0.current = start } }
            try takeOver()
        }
        throw KeyringProblem.superseded
    }

    /// Shows handlers what the store holds, when that is another keyring.
    private func takeOver() throws {
        let known = keyring
        isBehind.store(true, ordering: .relaxed)
        let found = try store.load(otherThan: known.generation)
        isBehind.store(false, ordering: .relaxed)
        guard let loaded = found else { return }
        let next = loaded.keepingMeters(of: known)
        inbox.withLock { _ in published.withLock { $0.keyring = next } }
        report(.reloaded(generation: next.generation))
    }

    private func readAnew() throws {
        try takeOver()
        // It has to fit the log, which is looked at again.
        audit?.close()
        audited.withLock { $0 = Audited() }
        try settleAudit()
        try prepare()
    }

    /// Seals the keyring under the master key that has taken the place of another, and tells of what was done to the file. Should
    /// that not be possible, the old one is there still, and nothing else waits for it.
    private func sealAnew() {
        // A log that does not work is looked at again by whoever administers keys, when messages have their reserves.
        guard !published.withLock({ $0.isStopped }) else { return }
        do {
            try unlessSuperseded {
                let isAnew = try store.isToBeSealedAnew()
                guard let sealing = store.sealing else { return }
                let found = store.masterKeys
                var entries = isAnew ? [Self.sealing(under: sealing)] : []
                if let found, found != masterKeys.withLock({ $0 }) {
                    entries.insert(.masterKeys(found, by: KeyActor.keyring.name), at: 0)
                }
                // What is told of and not made must stay after what the sealed keyring knows of the log.
                guard !entries.isEmpty, audited.withLock({ $0.changes.isEmpty }) else { return }
                let (head, records) = try tell(entries, known: keyring.audit, isStopped: false)
                let next = keyring.changed(audit: head) { _ in }
                try save(next, records)
                audited.withLock { $0.settle(entries) }
                masterKeys.withLock { $0 = found }
                inbox.withLock { _ in published.withLock { $0.keyring = next } }
                if isAnew { report(.sealedAnew(masterKey: sealing.id)) }
            }
        } catch {
            report(.failed(error))
        }
    }

    /// What the audit log tells of it.
    static func sealing(under key: MasterKey) -> AuditEntry {
        AuditEntry(action: "SEAL", actor: KeyActor.keyring.name, detail: "under the master key \(Hex.encode(key.id))")
    }

    /// Reserves messages of versions that this process has none of, before it says that it has them: a version that becomes
    /// primary can be used at once, everywhere. What others have reserved does not count against that first block: a key that is
    /// rotated after few messages would have none left for the second process. Nor does it while the next version is awaited:
    /// until then this one is all there is.
    private func prepare() throws {
        try unlessSuperseded {
            let (keyring, now) = (keyring, clock())
            let requests = keyring.keys.flatMap { key in
                let primary = key.primary(at: now).number
                return key.versions.compactMap { version -> ReserveRequest? in
                    guard version.number == primary || version.isAwaited, case .aead(_, let meter) = version.material, meter.isLow
                    else { return nil }
                    let isBounded = !meter.isFresh && !key.isAwaited
                    return request(version, of: key, isPrimary: isBounded, isRotated: key.canBeRotated)
                }
            }
            try reserve(requests, of: keyring)
        }
    }

    /// Where others share the keyring, `prepare` may have done it already.
    func isStillWanted(_ order: ReserveOrder) -> Bool {
        guard store.isShared, let key = keyring[order.key], order.version != nil,
            case .aead(_, let meter)? = order.version.flatMap({ key.version($0) })?.material
        else { return true }
        return meter.isLow
    }

    /// Lets versions be used that every process has.
    func activate() throws {
        let (now, previous, isStopped) = (clock(), keyring, published.withLock { $0.isStopped })
        guard store.isShared, previous.isAwaiting, !isStopped else { return }
        // What this process has changed just now others take over at their next look, and say so.
        try gather()
        guard keyring.generation == previous.generation else { throw KeyringProblem.superseded }
        guard watch.withLock({ $0.allHold(previous.generation, at: uptime()) }) else { return }
        let awaited = previous.keys.filter(\.isAwaited)
        let entries = awaited.map {
            AuditEntry(action: "ACTIVATE", key: $0.name, actor: KeyActor.keyring.name, detail: "version \($0.next - 1)")
        }
        let (head, records) = try tell(entries, known: previous.audit, isStopped: false)
        let next = previous.changed(audit: head) { byName in
            for key in awaited { byName[key.name]?.activate(at: maker.activation(of: key, now: now)) }
        }
        try save(next, records)
        inbox.withLock { _ in published.withLock { $0.keyring = next } }
        for key in awaited { report(.activated(key: key.name, version: key.next - 1)) }
    }

    /// Does it again with what another process has made of the keyring meanwhile.
    func unlessSuperseded<Result>(_ body: () throws -> Result) throws -> Result {
        for _ in 0..<Self.attempts {
            do {
                return try body()
            } catch KeyringProblem.superseded {
                guard store.isShared else { throw KeyringProblem.superseded }
                try takeOver()
            }
        }
        throw KeyringProblem.superseded
    }
}
