internal import SQL

extension ConnectionStore {
    /// Takes the revocation that has been due longest, or the one of that id, if it is due.
    func claimRevocation(_ terms: LeaseTerms, id: String? = nil, now: Microseconds) async throws -> Revocation? {
        guard try await nextRevocation().map({ $0 <= now }) == true else { return nil }
        return try await database.write { transaction in
            try transaction.first(
                """
                UPDATE revocations
                SET lease_number = lease_number + 1, lease_owner = :owner, lease_until = :until, attempts = attempts + 1
                WHERE id = (
                    SELECT id FROM revocations
                    WHERE due_at <= :now AND (lease_until IS NULL OR lease_until <= :now) AND (:id IS NULL OR id = :id)
                    ORDER BY due_at, id LIMIT 1)
                RETURNING \(Revocation.columns)
                """,
                ["id": id, "owner": terms.owner, "until": now + terms.duration.microseconds, "now": now]
            ) { try Revocation($0) }
        }
    }

    /// When the next revocation becomes due or its lease runs out; nil when there is none.
    func nextRevocation() async throws -> Microseconds? {
        try await database.read { reader in
            try reader.one(
                "SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) AS due FROM revocations"
            ).get("due", as: Microseconds?.self)
        }
    }

    /// Forgets the tokens, and writes down how it ended.
    func finish(_ revocation: Revocation, as event: AuditEvent, _ change: Change) async throws {
        try await database.write { transaction in
            let removed = try transaction.execute("DELETE FROM revocations WHERE id = :id", ["id": revocation.id])
            guard removed == 1 else { return }
            try transaction.audit(
                event, user: nil, connection: revocation.connectionID, provider: revocation.provider, change)
        }
    }

    /// Gives the revocation back, to be tried at `due`.
    func release(_ revocation: Revocation, due: Microseconds) async throws {
        try await database.write { transaction in
            _ = try transaction.execute(
                """
                UPDATE revocations SET due_at = :due, lease_owner = NULL, lease_until = NULL
                WHERE id = :id AND lease_number = :lease
                """, ["id": revocation.id, "due": due, "lease": revocation.leaseNumber])
        }
    }
}
