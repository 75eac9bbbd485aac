internal import LibCrypto
internal import SQL

/// The chain over the audit trail: one process at a time adds what was committed.
extension AuthStore {
    /// Adds rows that wait, unless another process does.
    ///
    /// - Parameter owner: of the lease.
    /// - Returns: how many were taken from the queue.
    func sealAuditTrail(as owner: String, lease: Duration = AuditSealer.lease) async throws -> Int {
        guard try await read({ try $0.first("SELECT 1 FROM audit_queue LIMIT 1") != nil }) else { return 0 }
        let now = clock.now
        return try await write(isolation: .readCommitted) { transaction in
            let isOurs = try transaction.execute(
                """
                UPDATE audit_sealer SET owner = :owner, lease_until = :until
                WHERE id = 1 AND (owner = :owner OR lease_until <= :now OR lease_until > :longest)
                """, ["owner": owner, "until": now + lease, "now": now, "longest": now + AuditSealer.longestLease])
            guard isOurs == 1 else { return 0 }
            let queued = try transaction.query(
                """
                SELECT q.event_id, \(sealedColumns) FROM audit_queue q LEFT JOIN audit_events e ON e.id = q.event_id
                ORDER BY q.at, q.event_id LIMIT :limit
                """, ["limit": AuditSealer.batch]
            ) { (id: try $0.get("event_id", as: String.self), row: try $0.sealedRow) }
            let head = try transaction.chainHead()
            try transaction.append(queued.compactMap(\.row), behind: head, forgotten: Set(Self.everydayEvents.map(\.rawValue)))
            // What the chain holds now, and nothing that came meanwhile.
            try transaction.execute(
                "DELETE FROM audit_queue WHERE event_id IN (SELECT event_id FROM audit_chain WHERE position > :head)",
                ["head": head.position])
            for lost in queued where lost.row == nil {
                try transaction.execute("DELETE FROM audit_queue WHERE event_id = :id", ["id": lost.id])
            }
            return queued.count
        }
    }

    /// Follows the chain from its beginning and compares each entry with its row.
    ///
    /// - Parameters:
    ///   - held: an entry that the chain must have: what an earlier check reported as its head.
    ///   - progress: told of the entries so far, each some thousand.
    package func verifyAuditTrail(
        holding held: AuditChainLink? = nil, progress: @Sendable (Int) -> Void = { _ in }
    ) async throws -> AuditTrailReport {
        var report = AuditTrailReport()
        var isHeld = held == nil
        var head = AuditChainLink.beginning
        while true {
            let after = head.position
            let entries = try await read { connection in
                try connection.query(
                    """
                    SELECT c.position, c.event_id, c.at AS chain_at, c.event AS chain_event, c.subject AS chain_subject, c.digest,
                        c.hash,
                        \(sealedColumns)
                    FROM audit_chain c LEFT JOIN audit_events e ON e.id = c.event_id
                    WHERE c.position > :after ORDER BY c.position LIMIT :limit
                    """, ["after": after, "limit": Self.page]) { try $0.storedEntry }
            }
            for entry in entries {
                if entry.position != head.position + 1 {
                    report.report("entries \(head.position + 1) to \(entry.position - 1) are missing")
                    head.position = entry.position - 1
                }
                let next = try head.next(entry.content)
                if next.hash != entry.hash { report.report("entry \(entry.position) does not follow the one before it") }
                head = AuditChainLink(position: entry.position, hash: entry.hash)
                if head == held { isHeld = true }
                report.entries += 1
                let (id, event) = (entry.content.eventID, entry.content.event)
                if let row = entry.row {
                    if try row.digest != entry.content.digest { report.report("row \(id) (\(event)) was changed after it was sealed") }
                } else if try await mayBeForgotten(entry.content) {
                    report.forgotten += 1
                } else {
                    report.report("row \(id) (\(event)) was removed before its time")
                }
            }
            guard entries.count == Self.page else { break }
            progress(report.entries)
        }
        let outside = try await read { connection in
            try connection.query(
                """
                SELECT e.id FROM audit_events e
                WHERE NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.event_id = e.id)
                    AND NOT EXISTS (SELECT 1 FROM audit_queue q WHERE q.event_id = e.id)
                ORDER BY e.at, e.id LIMIT :limit
                """, ["limit": AuditTrailReport.mostProblems]
            ) { try $0.get("id", as: String.self) }
        }
        for id in outside { report.report("row \(id) was put in behind the sealer") }
        report.waiting = try await read { try $0.one("SELECT count(*) AS n FROM audit_queue").get("n") }
        if let held, !isHeld { report.report("entry \(held.position) is not there, or another one than it was") }
        report.head = head
        return report
    }

    private static let page = 1000

    /// Everyday rows and those of nobody have their time; those of an account that nobody ever confirmed go with it.
    private func mayBeForgotten(_ entry: AuditChainEntry) async throws -> Bool {
        let (now, everyday) = (clock.now, Self.everydayEvents.map(\.rawValue))
        // They go with an account that was never confirmed, too, which has less time.
        if everyday.contains(entry.event) { return entry.at < now - min(AuthPolicy.memory, AuthPolicy.retention) }
        guard entry.at < now - AuthPolicy.retention else { return false }
        guard let subject = entry.subject else { return true }
        return try await read { connection in
            let left = try connection.first(
                "SELECT 1 FROM audit_events WHERE subject = :subject AND event = :registered LIMIT 1",
                ["subject": subject, "registered": AuditEvent.registered])
            // Whoever was confirmed has more than that they registered.
            let more = try connection.first(
                "SELECT 1 FROM audit_chain WHERE subject = :subject AND event <> :registered LIMIT 1",
                ["subject": subject, "registered": AuditEvent.registered])
            return left == nil && more == nil
        }
    }
}

private struct StoredEntry {
    let position: Int64
    let content: AuditChainEntry
    let hash: [UInt8]
    /// Nil when it was forgotten, or removed.
    let row: SealedRow?
}

private let sealedColumns = """
    e.id, e.at, e.event, e.subject, e.actor, e.detail, e.session_id, e.request_id, e.mailed, e.sealed_for, e.sealed
    """

extension Row {
    /// Nil when an outer join found none.
    fileprivate var sealedRow: SealedRow? {
        get throws {
            guard let id = try get("id", as: String?.self) else { return nil }
            return SealedRow(
                id: id, at: try get("at"), event: try get("event"), subject: try get("subject"), actor: try get("actor"),
                detail: try get("detail"), sessionID: try get("session_id"), requestID: try get("request_id"),
                mailed: try get("mailed"), sealedFor: try get("sealed_for"), sealed: try get("sealed"))
        }
    }

    fileprivate var storedEntry: StoredEntry {
        get throws {
            StoredEntry(
                position: try get("position"),
                content: AuditChainEntry(
                    eventID: try get("event_id"), at: try get("chain_at"), event: try get("chain_event"),
                    subject: try get("chain_subject"), digest: try get("digest")),
                hash: try get("hash"), row: try sealedRow)
        }
    }
}

extension Transaction {
    fileprivate func chainHead() throws -> AuditChainLink {
        try first("SELECT position, hash FROM audit_chain ORDER BY position DESC LIMIT 1") {
            AuditChainLink(position: try $0.get("position"), hash: try $0.get("hash"))
        } ?? .beginning
    }

    fileprivate func append(_ rows: [SealedRow], behind head: AuditChainLink, forgotten: Set<String>) throws {
        var head = head
        let values = try rows.map { row -> [Value] in
            let entry = try row.entry(forgotten: forgotten)
            head = try head.next(entry)
            return [
                .integer(head.position), .text(entry.eventID), .integer(entry.at.microseconds), .text(entry.event),
                entry.subject.map { .text($0) } ?? .null, .bytes(entry.digest), .bytes(head.hash),
            ]
        }
        try insert(
            into: "audit_chain", columns: ["position", "event_id", "at", "event", "subject", "digest", "hash"], rows: values)
    }
}
