internal import SQL

extension ConnectionStore {
    /// Takes the revocation that has been due longest, or the one of that id, if it is due.
    func claimRevocation(_ terms: LeaseTerms, id: String? = nil, now: Microseconds) async throws -> Revocation? {
        guard try await nextRevocation().map({ $0 <= now }) == true else { return nil }
        return try await database.write(isolation: .readCommitted) { transaction in
            try transaction.take(
                Self.claim, limit: 1,
                ["id": id, "owner": terms.owner, "until": now + terms.duration.microseconds, "now": now]
            ) { try Revocation($0) }.first
        }
    }

    private static let claim = Claim(
        from: "revocations", key: "id",
        where: """
            due_at <= :now AND (lease_until IS NULL OR lease_until <= :now) AND (CAST(:id AS TEXT) IS NULL OR id = :id)
            """,
        orderedBy: "due_at, id",
        set: "lease_number = lease_number + 1, lease_owner = :owner, lease_until = :until, attempts = attempts + 1",
        returning: Revocation.columns)

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
