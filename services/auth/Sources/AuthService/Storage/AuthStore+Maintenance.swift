internal import SQL

extension AuthStore {
    /// Removes what no longer matters. Safe to run at any time, from any process.
    func prune() async throws {
        let now = clock.now
        let marks = [
            Mark.revocation: now - policy.accessTokenLifetime - Self.revocationMargin,
            .grace: now - policy.refreshGrace,
            .retention: now - AuthPolicy.retention,
        ]
        try await write { transaction in
            for (sql, mark) in Self.pruning {
                try transaction.execute(sql, ["before": marks[mark]])
            }
        }
    }

    private enum Mark {
        case revocation, grace, retention
    }

    /// Beyond the life of the last access token of a revoked session: clocks differ.
    private static let revocationMargin: Duration = .seconds(60)

    private static let pruning = [
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
    ]
}
