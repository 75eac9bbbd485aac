internal import SQL

extension AuthStore {
    /// Removes what no longer matters. Safe to run at any time, from any process. Each piece is a transaction of its
    /// own, so that a long backlog holds nobody up and what was done stays done.
    func prune() async throws {
        let now = clock.now
        let longestToken = max(policy.accessTokenLifetime, AuthPolicy.longestAccessTokenLifetime)
        let marks = [
            Mark.revocation: now - longestToken - Self.revocationMargin,
            .grace: now - policy.refreshGrace,
            .retention: now - AuthPolicy.retention,
            .memory: now - AuthPolicy.memory,
            .idle: policy.idleLimit(now) - AuthPolicy.retention,
            .session: now - AuthPolicy.longestSessionLifetime,
            .enrolment: now - AuthPolicy.enrolmentLifetime,
        ]
        for rule in Self.pruning {
            let parameters = rule.parameters(before: marks[rule.mark], now: now)
            var removed = Self.piece
            while removed == Self.piece {
                removed = try await write(body: { try $0.execute(rule.sql, parameters) })
                if removed > 0, rule.removesUsers { deletedKeys.raise() }
            }
        }
    }

    /// Leaves nothing of deleted keys in SQLite's log. In PostgreSQL the table is cleaned soon after, see migration 13.
    ///
    /// - Parameter mark: of `deletedKeys` when that was last done; nil when this process has not done it.
    /// - Returns: the same where it has to be tried again.
    func forgetDeletedKeys(since mark: Signal.Mark?) async throws -> Signal.Mark? {
        let now = deletedKeys.mark
        guard now != mark, try await database.emptyLog() else { return mark }
        return now
    }

    enum Mark {
        case revocation, grace, retention, memory, idle, session, enrolment
    }

    /// Beyond the life of the last access token of a revoked session: clocks differ.
    private static let revocationMargin: Duration = .seconds(60)
    /// Rows removed in one transaction.
    static let piece = 1000
}

/// One kind of rows that are forgotten, found through an index, since it runs every minute. Rows below a deleted one go
/// with it.
struct PruningRule: Sendable {
    let sql: String
    let mark: AuthStore.Mark

    var removesUsers: Bool { sql.hasPrefix("DELETE FROM users ") }

    func parameters(before: Timestamp?, now: Timestamp) -> Parameters {
        let hasNow = sql.contains(":now")
        return hasNow
            ? ["before": before, "now": now, "limit": AuthStore.piece] : ["before": before, "limit": AuthStore.piece]
    }

    /// - Parameter key: the table's primary key.
    fileprivate init(_ table: String, key: String, where condition: String, _ mark: AuthStore.Mark) {
        sql = "DELETE FROM \(table) WHERE (\(key)) IN (SELECT \(key) FROM \(table) WHERE \(condition) LIMIT :limit)"
        self.mark = mark
    }

    fileprivate init(_ sql: String, _ mark: AuthStore.Mark) {
        self.sql = sql
        self.mark = mark
    }
}

extension AuthStore {
    static let pruning = [
        PruningRule(
            "revocations", key: "sequence", where: "revoked_at < :before AND coalesce(effective_at, 0) < :before",
            .revocation),
        // No session is older than what it was raised over.
        PruningRule("minimum_versions", key: "version", where: "effective_at < :before", .session),
        PruningRule(
            """
            UPDATE refresh_tokens SET sealed_successor = NULL WHERE token_hash IN
                (SELECT token_hash FROM refresh_tokens
                 WHERE sealed_successor IS NOT NULL AND rotated_at < :before LIMIT :limit)
            """, .grace),
        PruningRule("challenges", key: "token_hash", where: "expires_at < :before", .retention),
        PruningRule("factors", key: "id", where: "confirmed_at IS NULL AND created_at < :before", .enrolment),
        PruningRule("passkey_challenges", key: "challenge_hash", where: "expires_at < :before", .enrolment),
        PruningRule("client_tokens", key: "id", where: "expires_at < :before", .retention),
        PruningRule("link_tokens", key: "token_hash", where: "expires_at < :before", .retention),
        PruningRule(
            "registrations", key: "id", where: "created_at < :before AND \(noLink("registration_id"))", .retention),
        PruningRule("sessions", key: "id", where: "expires_at < :before", .retention),
        PruningRule("sessions", key: "id", where: "revoked_at < :before", .retention),
        PruningRule("sessions", key: "id", where: "last_used_at < :before", .idle),
        PruningRule("address_changes", key: "id", where: "expires_at < :before", .retention),
        // A replay this late is an unknown token: no longer an alarm, and no use either.
        PruningRule("refresh_tokens", key: "token_hash", where: "rotated_at < :before", .retention),
        PruningRule(
            "audit_events", key: "id",
            where: "at < :before AND subject IN (SELECT outdated.pseudonym FROM users outdated WHERE \(unconfirmed("outdated")))",
            .retention),
        PruningRule("users", key: "id", where: unconfirmed("users"), .retention),
        PruningRule("audit_events", key: "id", where: "subject IS NULL AND actor IS NULL AND at < :before", .retention),
        PruningRule("guesses", key: "subject, lane", where: "user_id IS NULL AND last_at < :before", .retention),
        PruningRule("audit_events", key: "id", where: "event IN (\(everyday)) AND at < :before", .memory),
        PruningRule("known_agents", key: "user_id, agent_hash", where: "last_seen_at < :before", .memory),
    ]

    /// Whoever was sent a link may follow it as long as it says.
    private static func noLink(_ column: String, of table: String = "registrations") -> String {
        "NOT EXISTS (SELECT 1 FROM link_tokens WHERE \(column) = \(table).id AND link_tokens.expires_at >= :now)"
    }

    private static func unconfirmed(_ table: String) -> String {
        // An imported one was somebody's before it came here: that nobody confirmed it says nothing of that.
        "\(table).email_verified_at IS NULL AND \(table).imported_at IS NULL AND \(table).updated_at < :before "
            + "AND \(noLink("user_id", of: table))"
    }

    /// What anybody can cause without end. As in the index `audit_events_everyday`.
    static let everydayEvents = [
        AuditEvent.tokenRefreshed, .signInFailed, .signInLocked, .signInUnverified, .signInDisabled,
        .passwordChangeFailed, .resetRequested, .verificationRequested, .registeredAgain, .accessDenied,
        .secondFactorFailed, .stepUpFailed, .secondFactorAsked, .reauthenticationFailed, .clientRefused, .clientTokenIssued,
        .passkeyRefused,
    ]
    private static let everyday = everydayEvents.map { "'\($0.rawValue)'" }.joined(separator: ", ")
}
