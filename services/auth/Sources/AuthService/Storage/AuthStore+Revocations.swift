internal import SQL

/// A piece of the feed.
struct RevocationPage: Sendable {
    let entries: [Revocation]
    /// To be asked for next.
    let sequence: Int64
}

extension AuthStore {
    /// Revocations after a sequence number, oldest first. A number from a future that this database does not know (it
    /// was restored from a copy) starts over, rather than waiting for ever.
    func revocations(after asked: Int64) async throws -> RevocationPage {
        try await read { connection in
            let newest: Int64 = try connection.one("SELECT value FROM revocation_counter WHERE id = 1").get("value")
            let after = asked > newest ? 0 : max(0, asked)
            let entries = try connection.query(
                """
                SELECT sequence, session_id, revoked_at, user_id, everyone, effective_at FROM revocations
                WHERE sequence > :after
                ORDER BY sequence LIMIT :limit
                """, ["after": after, "limit": revocationLimit]
            ) {
                Revocation(
                    sequence: try $0.get("sequence"), sessionID: try $0.get("session_id"),
                    revokedAt: try $0.get("revoked_at"), userID: try $0.get("user_id"),
                    isForEveryone: try $0.get("everyone"), effectiveAt: try $0.get("effective_at"))
            }
            let last = entries.count < revocationLimit ? newest : entries.last?.sequence
            return RevocationPage(entries: entries, sequence: last ?? newest)
        }
    }
}

/// Entries in one answer: well under the contract's response limit; more come with the next question.
private let revocationLimit = 4000

extension Transaction {
    func publishRevocation(of session: String, at now: Timestamp) throws {
        try execute(
            "INSERT INTO revocations (sequence, session_id, revoked_at) VALUES (:sequence, :session, :now)",
            ["sequence": nextSequence(), "session": session, "now": now])
    }

    /// One entry, however many sessions it ends.
    func publishRaise(for scope: TokenVersionScope, at now: Timestamp, effectiveAt: Timestamp) throws {
        try execute(
            """
            INSERT INTO revocations (sequence, session_id, revoked_at, user_id, everyone, effective_at)
            VALUES (:sequence, '', :now, :user, :everyone, :effective)
            """,
            [
                "sequence": nextSequence(), "now": now, "user": scope.userID,
                "everyone": scope == .everyone ? 1 : 0, "effective": effectiveAt,
            ])
    }

    private func nextSequence() throws -> Int64 {
        try one("UPDATE revocation_counter SET value = value + 1 WHERE id = 1 RETURNING value").get("value")
    }
}
