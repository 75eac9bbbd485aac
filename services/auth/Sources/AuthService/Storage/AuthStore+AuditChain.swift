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
                WHERE id = 1 AND (owner = :owner OR lease_until <= :now)
                """, ["owner": owner, "until": now + lease, "now": now])
            guard isOurs == 1 else { return 0 }
            let queued = try transaction.query(
                "SELECT event_id FROM audit_queue ORDER BY at, event_id LIMIT :limit", ["limit": AuditSealer.batch]
            ) { try $0.get("event_id", as: String.self) }
            var head = try transaction.chainHead()
            for id in queued {
                if let row = try transaction.first(
                    "SELECT \(sealedColumns) FROM audit_events e WHERE e.id = :id", ["id": id], decodeSealedRow)
                {
                    head = try transaction.append(row, behind: head)
                }
                try transaction.execute("DELETE FROM audit_queue WHERE event_id = :id", ["id": id])
            }
            return queued.count
        }
    }

    /// Follows the chain from its beginning and compares each entry with its row.
    ///
    /// - Parameter progress: told of the entries so far, each some thousand.
    package func verifyAuditTrail(progress: @Sendable (Int) -> Void = { _ in }) async throws -> AuditTrailReport {
        var report = AuditTrailReport()
        var head = AuditChainLink.beginning
        while true {
            let after = head.position
            let entries = try await read { connection in
                try connection.query(
                    """
                    SELECT c.position, c.event_id, c.event AS chain_event, c.subject AS chain_subject, c.digest, c.hash,
                        \(sealedColumns)
                    FROM audit_chain c LEFT JOIN audit_events e ON e.id = c.event_id
                    WHERE c.position > :after ORDER BY c.position LIMIT :limit
                    """, ["after": after, "limit": Self.page], decodeEntry)
            }
            for entry in entries {
                if entry.position != head.position + 1 {
                    report.report("entries \(head.position + 1) to \(entry.position - 1) are missing")
                    head.position = entry.position - 1
                }
                let next = try head.next(entry.digest)
                if next.hash != entry.hash { report.report("entry \(entry.position) does not follow the one before it") }
                head = AuditChainLink(position: entry.position, hash: entry.hash)
                report.entries += 1
                if let row = entry.row {
                    if try row.digest != entry.digest {
                        report.report("row \(entry.eventID) (\(entry.event)) was changed after it was sealed")
                    }
                } else if try await mayBeForgotten(entry) {
                    report.forgotten += 1
                } else {
                    report.report("row \(entry.eventID) (\(entry.event)) was removed")
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
        report.head = head.position == 0 ? "" : Hex.encode(head.hash)
        return report
    }

    private static let page = 1000

    /// Everyday rows and those of nobody have their time; those of an account that nobody ever confirmed go with it.
    private func mayBeForgotten(_ entry: ChainEntry) async throws -> Bool {
        guard let subject = entry.subject, !Self.everydayEvents.map(\.rawValue).contains(entry.event) else { return true }
        return try await read { connection in
            let left = try connection.first("SELECT 1 FROM audit_events WHERE subject = :subject LIMIT 1", ["subject": subject])
            let wasSomebody = try connection.first(
                """
                SELECT 1 FROM audit_chain WHERE subject = :subject AND event IN (:verified, :signed_in, :reset) LIMIT 1
                """,
                [
                    "subject": subject, "verified": AuditEvent.emailVerified, "signed_in": AuditEvent.signedIn,
                    "reset": AuditEvent.passwordReset,
                ])
            return left == nil && wasSomebody == nil
        }
    }
}

private struct ChainEntry {
    let position: Int64
    let eventID: String
    let event: String
    let subject: String?
    let digest: [UInt8]
    let hash: [UInt8]
    /// Nil when it was forgotten, or removed.
    let row: SealedRow?
}

private let sealedColumns = """
    e.id, e.at, e.event, e.subject, e.actor, e.detail, e.session_id, e.request_id, e.mailed, e.sealed_for, e.sealed
    """

private func decodeSealedRow(_ row: Row) throws -> SealedRow {
    SealedRow(
        id: try row.get("id"), at: try row.get("at"), event: try row.get("event"), subject: try row.get("subject"),
        actor: try row.get("actor"), detail: try row.get("detail"), sessionID: try row.get("session_id"),
        requestID: try row.get("request_id"), mailed: try row.get("mailed"), sealedFor: try row.get("sealed_for"),
        sealed: try row.get("sealed"))
}

private func decodeEntry(_ row: Row) throws -> ChainEntry {
    ChainEntry(
        position: try row.get("position"), eventID: try row.get("event_id"), event: try row.get("chain_event"),
        subject: try row.get("chain_subject"), digest: try row.get("digest"), hash: try row.get("hash"),
        row: try row.get("id", as: String?.self) == nil ? nil : try decodeSealedRow(row))
}

extension Transaction {
    fileprivate func chainHead() throws -> AuditChainLink {
        try first("SELECT position, hash FROM audit_chain ORDER BY position DESC LIMIT 1") {
            AuditChainLink(position: try $0.get("position"), hash: try $0.get("hash"))
        } ?? .beginning
    }

    fileprivate func append(_ row: SealedRow, behind head: AuditChainLink) throws -> AuditChainLink {
        let digest = try row.digest
        let next = try head.next(digest)
        try execute(
            """
            INSERT INTO audit_chain (position, event_id, at, event, subject, digest, hash)
            VALUES (:position, :id, :at, :event, :subject, :digest, :hash)
            """,
            [
                "position": next.position, "id": row.id, "at": row.at, "event": row.event, "subject": row.subject,
                "digest": digest, "hash": next.hash,
            ])
        return next
    }
}
