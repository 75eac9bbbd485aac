package import LibCrypto

/// What handlers ask of the keeper: they leave requests, and never wait.
extension KeyringKeeper {
    /// Asks for a change of a key. The same one, asked for again before it is done, is one change.
    ///
    /// - Throws: what speaks against it; `changePending` while another change of the key is not done; `administrationStopped`.
    package func request(_ change: KeyChange, of name: String, by actor: KeyActor) throws(EncryptionError) {
        // The snapshot is read under the inbox's lock: a change that ends meanwhile cannot make it stale.
        try inbox.withLock { (inbox) throws(EncryptionError) in
            let (keyring, isStopped, isUnreachable) = published.withLock { ($0.keyring, $0.isStopped, $0.isUnreachable) }
            guard !isStopped else { throw .administrationStopped }
            guard !isUnreachable, !isStale else { throw .keyringUnreachable }
            let order = KeyOrder(key: name, change: change, actor: actor)
            if let pending = inbox.orders[name]?.order {
                guard pending.isSame(as: order) else { throw .changePending(key: name, pending.change.action) }
                return
            }
            try change.check(name, keyring[name], isWanted: wanted.contains(name), now: clock())
            try keyring.check(change, with: inbox.orders.values.map(\.order))
            inbox.orders[name] = (order, inbox.nextPlace)
            inbox.nextPlace += 1
        }
        wake.signal()
    }

    /// Asks for a new version of a key, and says its number. A second request before the first is done is the same one.
    package func requestRotation(
        of name: String, by actor: KeyActor = KeyActor(name: "operator")
    ) throws(EncryptionError) -> UInt32 {
        try request(.rotate, of: name, by: actor)
        // It may be done already.
        return pendingVersion(of: name) ?? keyring[name].map { $0.next - 1 } ?? 0
    }

    /// Asks for a larger reserve for a version of a key.
    ///
    /// - Parameter version: Nil for the primary one.
    package func requestReserve(for name: String, version: UInt32? = nil) {
        let isNew = inbox.withLock { $0.reserves.insert(ReserveOrder(key: name, version: version)).inserted }
        if isNew { wake.signal() }
    }

    /// The change of a key that is asked for and not durable yet.
    package func pendingChange(of name: String) -> KeyChange? { inbox.withLock { $0.orders[name]?.order.change } }

    /// All of them, by key.
    package var pendingChanges: [String: KeyChange] { inbox.withLock { $0.orders.mapValues(\.order.change) } }

    /// The version that a requested rotation will make, while it is not durable yet.
    package func pendingVersion(of name: String) -> UInt32? {
        inbox.withLock { inbox in
            guard case .rotate? = inbox.orders[name]?.order.change else { return nil }
            return keyring[name]?.next
        }
    }

    /// Whether the audit log tells of uses of keys.
    package var auditsUses: Bool { uses != nil }

    /// Leaves word of a use of a key, where the audit log is to tell of them. Never waits.
    func tell(
        _ operation: KeyOperation, _ name: String, version: UInt32, items: Int = 1, failed: Int = 0, actor: String, requestID: String
    ) {
        // A name that is no key's was used for nothing.
        guard let uses, items > 0, keyring[name] != nil else { return }
        let use = KeyUse(
            operation: operation, key: name, version: version, actor: actor, requestID: requestID, items: items, failed: failed,
            time: clock())
        if uses.add(use) { wake.signal() }
    }

    /// Whether an export is in the audit log and may be fetched, which then is over. False: it is asked for now.
    package func takeExport(of name: String, version: UInt32, by actor: KeyActor) throws(EncryptionError) -> Bool {
        let now = clock()
        let taken = published.withLock { snapshot in
            snapshot.permits.removeAll { $0.expiresAt < now }
            let index = snapshot.permits.firstIndex { ($0.key, $0.version, $0.caller) == (name, version, actor.name) }
            if let index { snapshot.permits.remove(at: index) }
            return index != nil
        }
        if !taken { try request(.export(version), of: name, by: actor) }
        return taken
    }

    /// The key under which others wrap keys for import, and until when it is good; nil while it is made.
    package func wrappingKey() -> (key: WrappingKey, expiresAt: Int64)? {
        if let wrapping = published.withLock({ $0.wrapping }), wrapping.expiresAt > clock() { return wrapping }
        inbox.withLock { $0.wantsWrappingKey = true }
        wake.signal()
        return nil
    }
}

extension KeyOrder {
    /// Whether asking for both is asking for one.
    fileprivate func isSame(as other: KeyOrder) -> Bool {
        switch (change, other.change) {
        case (.rotate, .rotate), (.disable, .disable), (.enable, .enable), (.cancelDestruction, .cancelDestruction): true
        case (.export(let version), .export(let another)): version == another && actor.name == other.actor.name
        default: false
        }
    }
}
