internal import SQL
internal import ServiceKit

extension AuthStore {
    /// Ends the sessions that have begun until now, when the grace is over. One row, however many sessions: which are over
    /// follows from their version.
    ///
    /// - Throws: `AuthError.noSuchUser`.
    func raiseTokenVersion(
        for scope: TokenVersionScope, grace: Duration, by actor: Actor, _ origin: Origin
    ) async throws -> RaisedTokenVersion {
        let change = Change(at: clock.now, origin: origin)
        let effectiveAt = change.at + min(max(grace, .zero), AuthPolicy.longestGrace)
        return try await write(raising: revocations) { transaction in
            if let user = scope.userID { try transaction.requireUser(user) }
            let version: Int64 = try transaction.one(
                "UPDATE token_version_counter SET value = value + 1 WHERE id = 1 RETURNING value"
            ).get("value")
            try transaction.execute(
                """
                INSERT INTO minimum_versions (version, user_id, raised_at, effective_at)
                VALUES (:version, :user, :now, :effective)
                """, ["version": version, "user": scope.userID, "now": change.at, "effective": effectiveAt])
            try transaction.publishRaise(for: scope, at: change.at, effectiveAt: effectiveAt)
            try transaction.audit(
                .tokenVersionRaised, user: scope.userID, by: actor,
                detail: "\(scope == .everyone ? "everyone" : "user") version=\(version) grace_s=\(grace.components.seconds)",
                change)
            return RaisedTokenVersion(version: version, effectiveAt: effectiveAt)
        }
    }
}

extension Transaction {
    /// - Throws: `AuthError.noSuchUser`.
    func requireUser(_ id: String) throws {
        guard try first("SELECT 1 FROM users WHERE id = :id", ["id": id]) != nil else { throw AuthError.noSuchUser }
    }
}
