internal import SQL

extension ConnectionStore {
    /// Forgets who read which token when, after a while: one row for each read. All else that was recorded stays.
    func forgetReads(before limit: Microseconds) async throws {
        let isNeeded = try await database.read { reader in
            try reader.first(
                "SELECT 1 AS n FROM audit_events WHERE event = 'token_read' AND at < :limit LIMIT 1",
                ["limit": limit]) != nil
        }
        guard isNeeded else { return }
        try await database.write { transaction in
            _ = try transaction.execute(
                "DELETE FROM audit_events WHERE event = 'token_read' AND at < :limit", ["limit": limit])
        }
    }
}
