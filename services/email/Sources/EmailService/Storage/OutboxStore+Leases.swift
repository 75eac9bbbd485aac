internal import SQL

/// How long a claim lasts and in whose name.
struct LeaseTerms: Sendable {
    let owner: String
    let duration: Duration
}

extension OutboxStore {
    /// Takes the message that has been due longest, if there is one. A message whose lease has run out is due again.
    func claim(_ terms: LeaseTerms, now: Microseconds) async throws -> ClaimedMessage? {
        guard try await nextDue(now: now).map({ $0 <= now }) == true else { return nil }
        return try await database.write(isolation: .readCommitted) { transaction in
            try transaction.take(
                Self.claim, limit: 1,
                ["owner": terms.owner, "until": now + terms.duration.microseconds, "now": now]
            ) { try ClaimedMessage($0) }.first
        }
    }

    private static let claim = Claim(
        from: "messages", key: "id",
        where: "state = 'queued' AND due_at <= :now AND (lease_until IS NULL OR lease_until <= :now)",
        orderedBy: "due_at, id",
        set: "lease_number = lease_number + 1, lease_owner = :owner, lease_until = :until, attempts = attempts + 1",
        returning: "id, template, payload, request_id, created_at, expires_at, attempts, lease_number")

    /// When the next message becomes due or its lease runs out; nil when nothing is queued.
    func nextDue(now: Microseconds) async throws -> Microseconds? {
        try await database.read { connection in
            try connection.one(
                """
                SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) AS due
                FROM messages WHERE state = 'queued'
                """
            ).get("due", as: Microseconds?.self)
        }
    }

    /// Ends the message and erases its content.
    ///
    /// - Returns: false when the lease was lost meanwhile, and nothing was changed.
    func finish(
        _ message: ClaimedMessage, as state: MessageState, failure: Failure? = nil, now: Microseconds
    ) async throws -> Bool {
        try await database.write { transaction in
            try transaction.execute(
                """
                UPDATE messages
                SET state = :state, payload = NULL, finished_at = :now, lease_until = NULL, lease_owner = NULL,
                    last_failure = :failure
                WHERE id = :id AND state = 'queued' AND lease_number = :lease
                """,
                [
                    "id": message.id, "state": state, "now": now, "lease": message.leaseNumber,
                    "failure": failure,
                ]) == 1
        }
    }

    /// Gives the message back, to be tried at `due`.
    ///
    /// - Parameter counted: whether the attempt counts; it does not when the fault is not the message's.
    /// - Returns: false when the lease was lost meanwhile, and nothing was changed.
    func release(
        _ message: ClaimedMessage, due: Microseconds, failure: Failure, counted: Bool
    ) async throws -> Bool {
        try await database.write { transaction in
            try transaction.execute(
                """
                UPDATE messages
                SET due_at = :due, lease_until = NULL, lease_owner = NULL, last_failure = :failure,
                    attempts = attempts - :uncounted
                WHERE id = :id AND state = 'queued' AND lease_number = :lease
                """,
                [
                    "id": message.id, "due": due, "failure": failure, "lease": message.leaseNumber,
                    "uncounted": counted ? 0 : 1,
                ]) == 1
        }
    }

    /// Frees what an earlier process of the same name held when it ended. Its attempts stay counted.
    ///
    /// - Returns: how many messages are due again.
    func releaseLeases(of owner: String) async throws -> Int {
        try await database.write { transaction in
            try transaction.execute(
                """
                UPDATE messages SET lease_until = NULL, lease_owner = NULL
                WHERE state = 'queued' AND lease_owner = :owner
                """, ["owner": owner])
        }
    }

    /// Forgets messages that ended before `limit`: from then on their keys may be used again.
    func purge(finishedBefore limit: Microseconds) async throws -> Int {
        try await database.write { transaction in
            try transaction.execute(
                "DELETE FROM messages WHERE state <> 'queued' AND finished_at < :limit", ["limit": limit])
        }
    }
}
