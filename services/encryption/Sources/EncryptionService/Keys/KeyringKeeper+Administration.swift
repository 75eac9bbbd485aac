import LibCrypto

/// What the keyring thread does to keys: their administration and their reserves.
extension KeyringKeeper {
    /// How long an export may be fetched after it is in the audit log, in microseconds.
    private static let permitLife: Int64 = 60_000_000
    /// How long a wrapping key is good, in microseconds: as AWS KMS has it.
    private static let wrappingKeyLife: Int64 = 86_400_000_000

    /// Makes what was asked for and what is due: told of, then durable, then published. Says which keys it changed.
    func administer(_ work: Inbox) throws -> Set<String> {
        let (now, previous) = (clock(), keyring)
        let orders = work.ordered + automatic(previous, besides: work.orders, now: now)
        let isStopped = published.withLock { $0.isStopped }
        guard !orders.isEmpty || isStopped || !audited.withLock({ $0.changes.isEmpty }) else { return [] }
        var made: [(order: KeyOrder, key: NamedKey?, entry: AuditEntry)] = []
        for order in orders {
            let isWanted = wanted.contains(order.key)
            do throws(EncryptionError) {
                try order.change.check(order.key, previous[order.key], isWanted: isWanted, now: now)
                try previous.check(order.change, with: made.map(\.order))
            } catch {
                report(.refused(order, error))
                continue
            }
            let (key, detail) = try order.change.applied(to: order.key, previous[order.key], maker: maker, now: now)
            var entry = order.entry
            entry.detail = detail
            made.append((order, key, entry))
        }
        let (head, records) = try tell(made.map(\.entry), known: previous.audit, isStopped: isStopped)
        let next = previous.changed(audit: head) { byName in
            for change in made { byName[change.order.key] = change.key }
        }
        if !made.isEmpty || !records.isEmpty { try save(next, records) }
        audited.withLock { $0.settle(made.map(\.entry)) }
        for key in made.compactMap(\.key) { allow(key, after: previous[key.name]) }
        publish(next, orders, exports: made.map(\.order).filter(\.change.isExport), now: now)
        for change in made { report(.changed(change.order, version: change.key.map { $0.next - 1 } ?? 0)) }
        return Set(made.map(\.order.key))
    }

    /// Writes what the log does not hold yet, or says what the store is to write.
    func tell(
        _ entries: [AuditEntry], known: AuditHead, isStopped: Bool
    ) throws -> (head: AuditHead?, records: [AuditRecord.Line]) {
        guard !store.isShared else {
            // What it did not fit for may be anywhere in it.
            if isStopped { try store.followAudit(to: known) }
            let resumed = isStopped ? [AuditEntry(action: "RESUME", actor: KeyActor.keyring.name)] : []
            let records = try AuditRecord.lines(entries + resumed, after: known, time: clock())
            return (records.last?.record.head, records)
        }
        return (try write(entries, known: known, isStopped: isStopped), [])
    }

    /// Where the store keeps the log, what is wrong with that stops administration.
    func save(_ next: Keyring, _ records: [AuditRecord.Line]) throws {
        do {
            try store.save(next, records: records)
            if store.isShared { setStopped(by: nil) }
        } catch let problem as KeyringProblem {
            if store.isShared, case .auditMismatch = problem { setStopped(by: problem) }
            throw problem
        }
    }

    private func write(_ entries: [AuditEntry], known: AuditHead, isStopped: Bool) throws -> AuditHead? {
        guard let audit else { return nil }
        var progress = audited.withLock { $0 }
        var new = progress.takeBack(unless: entries)
        new += entries.filter { progress.entries[$0] == nil }
        if isStopped { new.append(AuditEntry(action: AuditEntry.resume, actor: KeyActor.keyring.name)) }
        guard !new.isEmpty else { return progress.head }
        do {
            let head = try audit.append(new, known: progress.head ?? known)
            progress.head = head
            let first = head.sequence + 1 - UInt64(new.count)
            for (entry, number) in zip(new, first...) where entries.contains(entry) { progress.entries[entry] = number }
            audited.withLock { $0 = progress }
            setStopped(by: nil)
            return head
        } catch {
            setStopped(by: error)
            throw error
        }
    }

    func settleAudit() throws {
        do {
            guard let audit else { return try store.followAudit(to: keyring.audit) }
            let head = try audit.append([], known: keyring.audit)
            audited.withLock { $0.head = head }
        } catch {
            // A database that does not answer says nothing about the log in it.
            if case .unreachable? = error as? KeyringProblem { throw error }
            setStopped(by: error)
            throw error
        }
    }

    func setStopped(by error: (any Error)?) {
        let wasStopped = published.withLock { snapshot in
            defer { snapshot.isStopped = error != nil }
            return snapshot.isStopped
        }
        if let error, !wasStopped { report(.administrationStopped(error)) }
        if error == nil, wasStopped { report(.administrationResumed) }
    }

    /// What is due: the end of a waiting period, the next version of a key that is old or worn. A key that somebody is
    /// changing comes later.
    private func automatic(
        _ keyring: Keyring, besides orders: [String: (order: KeyOrder, place: Int)], now: Int64
    ) -> [KeyOrder] {
        keyring.keys.compactMap { key in
            guard orders[key.name] == nil else { return nil }
            if case .pendingDestruction(let time) = key.state {
                return time <= now && withheld(key) == nil ? KeyOrder(key: key.name, change: .destroy, actor: .keyring) : nil
            }
            let isOld = key.isDue(publishLead: maker.publishLead).map { $0 <= now } ?? false
            return isOld || isWorn(key, now: now) ? KeyOrder(key: key.name, change: .rotate, actor: .keyring) : nil
        }
    }

    /// The destruction of a key that configuration has come to want since it was asked for: it is not made.
    func withheld(_ key: NamedKey) -> KeyOrder? {
        guard wanted.contains(key.name), case .pendingDestruction = key.state else { return nil }
        return KeyOrder(key: key.name, change: .destroy, actor: .keyring)
    }

    private func isWorn(_ key: NamedKey, now: Int64) -> Bool {
        guard key.canBeRotated else { return false }
        let primary = key.primary(at: now)
        guard case .aead(_, let meter) = primary.material else { return false }
        return primary.reserved >= limits.rotateAt(key.settings) && meter.isLow
    }

    /// Shows handlers the keyring, and takes what is done out of the inbox in the same moment.
    private func publish(_ next: Keyring, _ orders: [KeyOrder], exports: [KeyOrder], now: Int64) {
        inbox.withLock { inbox in
            published.withLock { snapshot in
                snapshot.keyring = next
                for order in exports {
                    guard case .export(let version) = order.change else { continue }
                    snapshot.permits.append(
                        Permit(
                            key: order.key, version: version, caller: order.actor.name,
                            expiresAt: now + Self.permitLife))
                }
            }
            for order in orders where order.actor != .keyring { inbox.orders[order.key] = nil }
        }
    }

    // MARK: Reserves

    /// Makes larger reserves durable, then lets them be used.
    ///
    /// - Parameter isRotating: Whether keys are rotated that have sealed enough: then they get no more.
    func reserve(_ orders: Set<ReserveOrder>, isRotating: Bool) throws {
        let (now, previous) = (clock(), keyring)
        let requests = Set(
            orders.compactMap { order -> ReserveRequest? in
                guard let key = previous[order.key], key.usage == .aead else { return nil }
                let primary = key.primary(at: now)
                guard let version = order.version.map({ key.version($0) }) ?? primary else { return nil }
                let isPrimary = version.number == primary.number
                return request(
                    version, of: key, isPrimary: isPrimary, isRotated: isRotating && (key.canBeRotated || key.isAwaited))
            })
        try reserve(requests.sorted { ($0.key, $0.version) < ($1.key, $1.version) }, of: previous)
    }

    func reserve(_ requests: [ReserveRequest], of previous: Keyring) throws {
        // What is known to be at its bound is not asked for again and again.
        let requests = requests.filter { request in
            previous[request.key]?.version(request.version).map { request.extended($0.reserved) > $0.reserved } ?? false
        }
        guard !requests.isEmpty else { return }
        let (next, blocks) = try store.reserve(requests, of: previous)
        published.withLock { $0.keyring = next }
        for block in blocks {
            guard let key = next[block.key], case .aead(_, let meter)? = key.version(block.version)?.material else { continue }
            meter.allow(from: block.from, upTo: block.upTo, low: limits.step(key.settings) / 2)
        }
        if !blocks.isEmpty { report(.reserved(blocks.map(\.key))) }
    }

    /// Up to the point where the key is rotated; beyond, only while it cannot be, or when it has been and this version is still
    /// asked for.
    func request(_ version: KeyVersion, of key: NamedKey, isPrimary: Bool, isRotated: Bool) -> ReserveRequest {
        ReserveRequest(
            key: key.name, version: version.number, step: limits.step(key.settings),
            rotateAt: isPrimary ? limits.rotateAt(key.settings) : limits.maximum, isRotated: isRotated, maximum: limits.maximum)
    }

    /// What comes with a version that was made just now.
    private func allow(_ key: NamedKey, after previous: NamedKey?) {
        for version in key.versions.dropFirst(previous?.versions.count ?? 0) {
            guard case .aead(_, let meter) = version.material else { continue }
            meter.allow(upTo: version.reserved, low: limits.step(key.settings) / 2)
        }
    }

    func makeWrappingKey() throws {
        let key = try WrappingKey()
        let expiresAt = clock() + Self.wrappingKeyLife
        published.withLock { $0.wrapping = (key, expiresAt) }
        inbox.withLock { $0.wantsWrappingKey = false }
    }
}

extension KeyringKeeper.Audited {
    /// Forgets all changes that the log tells of, when one of them is not to be made any more.
    ///
    /// - Returns: The record that takes them back. Those that are to be made after all are told of again.
    fileprivate mutating func takeBack(unless entries: [AuditEntry]) -> [AuditEntry] {
        guard self.entries.keys.contains(where: { $0.isChange && !entries.contains($0) }) else { return [] }
        let numbers = changes
        self.entries = self.entries.filter { !$0.key.isChange }
        return [.notDone(numbers)]
    }
}

extension KeyChange {
    fileprivate var isExport: Bool { if case .export = self { true } else { false } }
}
