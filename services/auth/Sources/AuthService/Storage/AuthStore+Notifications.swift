internal import SQL

extension AuthStore {
    /// Takes notifications that are due: each is counted as attempted and hidden from other relays for that attempt's
    /// lease.
    func takeNotifications(
        limit: Int, lease: @escaping @Sendable (_ attempt: Int) -> Duration
    ) async throws -> [Notification] {
        let now = clock.now
        return try await write(isolation: .readCommitted) { transaction in
            for sql in Self.discarding { try transaction.execute(sql) }
            let due = try transaction.take(Self.claim, limit: limit, ["now": now]) { row in
                (
                    order: try row.get("next_attempt_at", as: Timestamp.self), id: try row.get("id", as: String.self),
                    attempt: try row.get("attempts", as: Int.self)
                )
            }
            return try due.sorted { ($0.order, $0.id) < ($1.order, $1.id) }.compactMap {
                try transaction.hide($0.id, until: now + lease($0.attempt))
            }
        }
    }

    /// Counts the attempt, which is what keeps others away until the transaction ends: how long its lease is, is not the
    /// database's to say.
    private static let claim = Claim(
        from: "notifications", key: "id", where: "next_attempt_at <= :now", orderedBy: "next_attempt_at, id",
        set: "attempts = attempts + 1", returning: "id, attempts, next_attempt_at")

    /// Rows that bring no mail, found through indexes.
    static let discarding = [
        "DELETE FROM notifications WHERE kind = '\(Notification.Kind.nothing.rawValue)'",
        "DELETE FROM notifications WHERE user_id IS NULL AND recipient IS NULL",
    ]

    /// Stores the token that a notification's mail will carry.
    ///
    /// - Returns: false, and nothing is stored, when the mail would go to an address that is no longer the account's: a
    ///   change of address ends the links that went there, and this one would come after it.
    func store(_ token: OpaqueToken, for notification: Notification, expiresAt: Timestamp) async throws -> Bool {
        guard let purpose = LinkPurpose(token.purpose) else { return true }
        let hash = try token.hash
        return try await write { transaction in
            if !notification.hasOwnRecipient {
                guard try transaction.user(notification.userID)?.email == notification.email else { return false }
            }
            try transaction.insertLink(hash, purpose, for: notification, expiresAt: expiresAt)
            return true
        }
    }

    /// Email has it, or it is no longer worth sending.
    func finish(_ notification: Notification) async throws {
        try await write {
            _ = try $0.execute("DELETE FROM notifications WHERE id = :id", ["id": notification.id])
        }
    }

    func postpone(_ notification: Notification, until time: Timestamp) async throws {
        try await write {
            _ = try $0.execute(
                "UPDATE notifications SET next_attempt_at = :time WHERE id = :id",
                ["id": notification.id, "time": time])
        }
    }

    /// When the next notification is due; nil when none waits.
    func nextNotification() async throws -> Timestamp? {
        try await read {
            try $0.first("SELECT min(next_attempt_at) AS due FROM notifications")?.get("due", as: Timestamp?.self)
        } ?? nil
    }
}

extension Transaction {
    /// Until an address is confirmed, nobody but its own registration says how a mail greets.
    fileprivate func hide(_ id: String, until time: Timestamp) throws -> Notification? {
        try execute(
            "UPDATE notifications SET next_attempt_at = :time WHERE id = :id",
            ["id": id, "time": time])
        return try first(
            """
            SELECT n.id, n.kind, coalesce(n.user_id, '') AS user_id, n.registration_id, n.change_id, n.address,
                n.user_agent, n.created_at, n.attempts, coalesce(n.recipient, u.email) AS email,
                CASE WHEN n.recipient IS NULL THEN 0 ELSE 1 END AS own_recipient, u.email_verified_at,
                CASE WHEN u.email_verified_at IS NULL THEN coalesce(r.name, '') ELSE u.name END AS name
            FROM notifications n LEFT JOIN users u ON u.id = n.user_id
                LEFT JOIN registrations r ON r.id = n.registration_id
            WHERE n.id = :id
            """, ["id": id], decodeNotification)
    }
}

private func decodeNotification(_ row: Row) throws -> Notification {
    Notification(
        id: try row.get("id"), kind: try row.get("kind"), userID: try row.get("user_id"), email: try row.get("email"),
        name: try row.get("name"), emailVerified: try row.get("email_verified_at", as: Timestamp?.self) != nil,
        registrationID: try row.get("registration_id"), changeID: try row.get("change_id"), address: try row.get("address"),
        userAgent: try row.get("user_agent"), createdAt: try row.get("created_at"),
        attempt: try row.get("attempts"), hasOwnRecipient: try row.get("own_recipient"))
}
