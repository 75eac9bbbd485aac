internal import SQL

/// A flow to be started.
struct NewFlow: Sendable {
    let connectionID: String
    let userID: String
    let provider: String
    let stateHash: String
    /// Of a new secret for the browser.
    let browserHash: String
    /// Of what the browser brought.
    let offeredBrowserHash: String?
    let sealedVerifier: [UInt8]
    let expiresAt: Microseconds
}

extension ConnectionStore {
    /// - Returns: whether the flow belongs to the browser by what it brought.
    /// - Throws: `TokenError.tooManyConnections` when the user has `limit` already.
    func start(_ flow: NewFlow, limit: Int, _ change: Change) async throws -> Bool {
        try await database.write { transaction in
            let count = try transaction.one(
                "SELECT count(*) AS n FROM connections WHERE user_id = :user AND state <> 'deleted'",
                ["user": flow.userID]
            ).get("n", as: Int.self)
            guard count < limit else { throw TokenError.tooManyConnections(limit) }
            let known = try transaction.knownBrowser(of: flow, change)
            try transaction.execute(
                """
                INSERT INTO connections (id, user_id, provider, state, created_at, updated_at)
                VALUES (:id, :user, :provider, 'pending', :now, :now)
                """,
                ["id": flow.connectionID, "user": flow.userID, "provider": flow.provider, "now": change.at])
            try transaction.execute(
                """
                INSERT INTO authorizations
                    (state_hash, connection_id, user_id, provider, browser_hash, verifier, expires_at)
                VALUES (:hash, :connection, :user, :provider, :browser, :verifier, :expires)
                """,
                [
                    "hash": flow.stateHash, "connection": flow.connectionID, "user": flow.userID,
                    "provider": flow.provider, "browser": known ?? flow.browserHash,
                    "verifier": flow.sealedVerifier, "expires": flow.expiresAt,
                ])
            try transaction.audit(
                .started, user: flow.userID, connection: flow.connectionID, provider: flow.provider, change)
            return known != nil
        }
    }

    /// Uses a state up: of many who come with it, one gets the flow. A stranger gets nothing, and the state stays.
    ///
    /// - Parameters:
    ///   - user: Who is signed in. Nobody's is fine in the browser that started; another's is not, there either.
    ///   - browserHash: Of what the browser brought; nil is no browser's.
    func consume(stateHash: String, user: String?, browserHash: String?) async throws -> Authorization? {
        try await database.write { transaction in
            try transaction.first(
                """
                DELETE FROM authorizations
                WHERE state_hash = :hash AND user_id = COALESCE(:user, user_id)
                    AND (user_id = :user OR browser_hash = :browser)
                RETURNING connection_id, user_id, provider, verifier, expires_at
                """, ["hash": stateHash, "user": user, "browser": browserHash]
            ) { try Authorization($0) }
        }
    }

    /// Completes the link with its first tokens.
    ///
    /// - Returns: nil when the connection was deleted meanwhile; its new tokens are then queued for revocation.
    func activate(
        _ authorization: Authorization, _ update: TokenUpdate, scope: String, _ change: Change
    ) async throws -> Connection? {
        try await database.write { transaction in
            let connection = try transaction.first(
                """
                UPDATE connections
                SET state = 'active', access_token = :access, refresh_token = :refresh, token_type = :type,
                    scope = :scope, expires_at = :expires, token_version = 1, updated_at = :now
                WHERE id = :id AND state = 'pending'
                RETURNING \(Connection.columns)
                """,
                [
                    "id": authorization.connectionID, "access": update.sealed.accessToken,
                    "refresh": update.sealed.refreshToken, "type": update.tokenType,
                    "scope": update.scope ?? scope, "expires": update.expiresAt, "now": change.at,
                ]
            ) { try Connection($0) }
            guard let connection else {
                _ = try transaction.revoke(
                    update.sealed, of: authorization.connectionID, at: authorization.provider, change)
                return nil
            }
            try transaction.audit(.connected, connection, change)
            return connection
        }
    }

    /// Ends a link that did not come about. One that did keeps its tokens: nobody has revoked them.
    func abandon(_ authorization: Authorization, _ change: Change) async throws {
        try await database.write { transaction in
            let changed = try transaction.execute(
                "UPDATE connections SET state = 'deleted', updated_at = :now WHERE id = :id AND state = 'pending'",
                ["id": authorization.connectionID, "now": change.at])
            guard changed == 1 else { return }
            try transaction.audit(
                .connectFailed, user: authorization.userID, connection: authorization.connectionID,
                provider: authorization.provider, change)
        }
    }
}

extension Transaction {
    /// What the browser brought, if it is this user's and one of the user's flows there is still under way.
    ///
    /// Taken over from another user, whoever had the browser before could start flows that end in it.
    fileprivate func knownBrowser(of flow: NewFlow, _ change: Change) throws -> String? {
        guard let offered = flow.offeredBrowserHash else { return nil }
        let found = try first(
            """
            SELECT 1 AS n FROM authorizations
            WHERE browser_hash = :browser AND user_id = :user AND expires_at > :now LIMIT 1
            """, ["browser": offered, "user": flow.userID, "now": change.at])
        return found == nil ? nil : offered
    }
}
