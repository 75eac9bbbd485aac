internal import SQL

extension AuthStore {
    /// Removes what no longer matters. Safe to run at any time, from any process.
    func prune() async throws {
        let now = clock.now
        let marks = [
            Mark.revocation: now - policy.accessTokenLifetime - Self.revocationMargin,
            .grace: now - policy.refreshGrace,
            .retention: now - AuthPolicy.retention,
            .memory: now - AuthPolicy.memory,
        ]
        try await write { transaction in
            for (sql, mark) in Self.pruning {
                try transaction.execute(sql, ["before": marks[mark]])
            }
        }
    }

    enum Mark {
        case revocation, grace, retention, memory
    }

    /// Beyond the life of the last access token of a revoked session: clocks differ.
    private static let revocationMargin: Duration = .seconds(60)

    /// Each finds its rows through an index, since it runs every minute. Rows below a deleted one go with it.
    static let pruning = [
        ("DELETE FROM revocations WHERE revoked_at < :before", Mark.revocation),
        (
            """
            UPDATE refresh_tokens SET sealed_successor = NULL
            WHERE sealed_successor IS NOT NULL AND rotated_at < :before
            """, .grace
        ),
        ("DELETE FROM link_tokens WHERE expires_at < :before", .retention),
        ("DELETE FROM registrations WHERE created_at < :before", .retention),
        ("DELETE FROM sessions WHERE expires_at < :before", .retention),
        ("DELETE FROM sessions WHERE revoked_at < :before", .retention),
        // A replay this late is an unknown token: no longer an alarm, and no use either.
        ("DELETE FROM refresh_tokens WHERE rotated_at < :before", .retention),
        (
            """
            DELETE FROM audit_events WHERE user_id IN
                (SELECT id FROM users WHERE email_verified_at IS NULL AND updated_at < :before)
            """, .retention
        ),
        ("DELETE FROM users WHERE email_verified_at IS NULL AND updated_at < :before", .retention),
        ("DELETE FROM audit_events WHERE user_id IS NULL AND at < :before", .retention),
        ("DELETE FROM guesses WHERE user_id IS NULL AND last_at < :before", .retention),
        (
            """
            DELETE FROM audit_events
            WHERE event IN ('authn_token_refreshed', 'authn_login_fail', 'authn_login_lock') AND at < :before
            """, .memory
        ),
        ("DELETE FROM known_agents WHERE last_seen_at < :before", .memory),
    ]
}
