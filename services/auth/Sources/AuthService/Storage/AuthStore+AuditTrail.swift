internal import SQL

extension AuthStore {
    /// Rows of the audit trail, newest first.
    ///
    /// - Throws: `AuthError.invalidPageToken`.
    func auditEvents(_ search: AuditSearch) async throws -> [AuditRecord] {
        let subject = search.userID == nil ? ":user = '' AND CAST(:client AS TEXT) IS NULL" : "e.subject = \(AuditSubject.expression)"
        return try await read { connection in
            let last = try connection.position(of: search)
            return try connection.query(
                """
                SELECT e.id, e.at, e.event, e.subject, e.actor, e.detail, e.session_id, e.request_id, e.address,
                    e.user_agent, e.sealed, e.sealed_for, k.key
                FROM audit_events e LEFT JOIN audit_keys k ON k.pseudonym = e.sealed_for
                WHERE \(subject) AND (:event = '' OR e.event = :event) AND e.at >= :since AND e.at < :until
                    AND (e.at < :last OR (e.at = :last AND e.id < :last_id))
                ORDER BY e.at DESC, e.id DESC LIMIT :limit
                """,
                [
                    "user": search.userID ?? "", "client": AuditSubject.client(search.userID), "event": search.event,
                    "since": search.since, "until": search.until,
                    "last": last.at, "last_id": last.id, "limit": search.limit,
                ], decodeAuditRecord)
        }
    }

    /// Writes down that a user was refused what needs a role, so many times an hour: whoever is refused could go on
    /// asking for ever.
    func recordDenial(of method: String, user: String, session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write { transaction in
            let count: Int = try transaction.one(
                """
                SELECT count(*) AS n FROM audit_events
                WHERE subject = \(AuditSubject.expression) AND event = :event AND at > :since
                """,
                [
                    "user": user, "client": AuditSubject.client(user), "event": AuditEvent.accessDenied,
                    "since": change.at - .seconds(3600),
                ]
            ).get("n")
            guard count < AuthPolicy.denialsPerHour else { return }
            try transaction.audit(.accessDenied, user: user, session: session, detail: method, change)
        }
    }
}

private func decodeAuditRecord(_ row: Row) throws -> AuditRecord {
    let id: String = try row.get("id")
    var (address, userAgent): (String, String) = (try row.get("address"), try row.get("user_agent"))
    if let sealed = try row.get("sealed", as: [UInt8]?.self), let name = try row.get("sealed_for", as: String?.self),
        let bytes = try row.get("key", as: [UInt8]?.self),
        let opened = AuditKey(pseudonym: name, bytes: bytes).open(sealed, event: id)
    {
        (address, userAgent) = opened
    }
    return AuditRecord(
        id: id, at: try row.get("at"), event: try row.get("event"), subject: try row.get("subject"),
        actor: try row.get("actor"), detail: try row.get("detail"), sessionID: try row.get("session_id"),
        requestID: try row.get("request_id"), address: address, userAgent: userAgent)
}

extension Queries where Self: ~Copyable {
    /// Behind which row a page begins: the one that its token names, or the end of time.
    fileprivate func position(of search: AuditSearch) throws -> (at: Timestamp, id: String) {
        guard !search.after.isEmpty else { return (Timestamp(microseconds: .max), "") }
        let at = try first("SELECT at FROM audit_events WHERE id = :id", ["id": search.after]) {
            try $0.get("at", as: Timestamp.self)
        }
        guard let at else { throw AuthError.invalidPageToken }
        return (at, search.after)
    }
}
