internal import SQL

/// What came of asking for the right to refresh.
enum LeaseAnswer: Sendable {
    case leased(RefreshLease)
    /// The tokens are newer than those that the caller saw.
    case newer
    /// Another process refreshes.
    case busy
    /// The provider wants to be left alone until then.
    case notBefore(Microseconds)
    /// There is nothing to refresh any more.
    case ended(ConnectionState)
}

extension ConnectionStore {
    /// Crashed refreshes after which the old refresh token is still tried.
    static let maximumUnknownOutcomes = 1

    /// Takes the right to refresh and, in the same transaction, writes down that a refresh begins.
    ///
    /// A begin without an end means that nobody knows whether the provider has replaced the refresh token. The old one
    /// is tried once more; after a second such crash only the user can help.
    func leaseRefresh(
        _ seen: Connection, _ terms: LeaseTerms, _ change: Change
    ) async throws -> LeaseAnswer {
        try await database.write { transaction in
            guard let row = try transaction.first(
                """
                SELECT \(Connection.columns), lease_until, refresh_started_at, unknown_outcomes, retry_at
                FROM connections WHERE id = :id
                """, ["id": seen.id])
            else { return .ended(.deleted) }
            let connection = try Connection(row)
            guard connection.state == .active else { return .ended(connection.state) }
            guard connection.tokenVersion == seen.tokenVersion else { return .newer }
            if let until: Microseconds = try row.get("lease_until"), until > change.at { return .busy }
            if let retryAt: Microseconds = try row.get("retry_at"), retryAt > change.at { return .notBefore(retryAt) }

            let wasBegun = try row.get("refresh_started_at", as: Microseconds?.self) != nil
            let unknown = try row.get("unknown_outcomes", as: Int.self) + (wasBegun ? 1 : 0)
            if wasBegun { try transaction.audit(.refreshUnknown, connection, change) }
            guard unknown <= Self.maximumUnknownOutcomes else {
                try transaction.needConsent(connection.id, change)
                return .ended(.needsConsent)
            }
            return .leased(try transaction.lease(connection, terms, unknown: unknown, change))
        }
    }

    /// Commits new tokens. They count even when the lease was lost meanwhile, as long as nobody brought newer ones: the
    /// provider knows these and no others.
    ///
    /// - Returns: false when there was no place for them; they are then queued for revocation.
    func commit(_ lease: RefreshLease, _ update: TokenUpdate, _ change: Change) async throws -> Bool {
        let connection = lease.connection
        return try await database.write { transaction in
            let changed = try transaction.execute(
                """
                UPDATE connections
                SET access_token = :access, refresh_token = COALESCE(:refresh, refresh_token), token_type = :type,
                    scope = COALESCE(:scope, scope), expires_at = :expires, token_version = token_version + 1,
                    lease_owner = NULL, lease_until = NULL, refresh_started_at = NULL, unknown_outcomes = 0,
                    retry_at = NULL, updated_at = :now
                WHERE id = :id AND state = 'active' AND token_version = :version
                """,
                [
                    "id": connection.id, "version": connection.tokenVersion, "access": update.sealed.accessToken,
                    "refresh": update.sealed.refreshToken, "type": update.tokenType, "scope": update.scope,
                    "expires": update.expiresAt, "now": change.at,
                ])
            guard changed == 1 else {
                _ = try transaction.revoke(update.sealed, of: connection.id, at: connection.provider, change)
                return false
            }
            try transaction.audit(.tokenRefreshed, connection, change)
            return true
        }
    }

    /// Ends a refresh that brought nothing, and nothing is unknown about it.
    func release(_ lease: RefreshLease, retryAt: Microseconds?) async throws {
        try await database.write { transaction in
            _ = try transaction.execute(
                """
                UPDATE connections
                SET lease_owner = NULL, lease_until = NULL, refresh_started_at = NULL, retry_at = :retry
                WHERE id = :id AND lease_number = :number
                """, ["id": lease.connection.id, "number": lease.number, "retry": retryAt])
        }
    }

    /// Ends a refresh whose new tokens were lost on the way: marked as begun, so that the next holder knows.
    func releaseAsUnknown(_ lease: RefreshLease) async throws {
        try await database.write { transaction in
            _ = try transaction.execute(
                """
                UPDATE connections SET lease_owner = NULL, lease_until = NULL
                WHERE id = :id AND lease_number = :number
                """, ["id": lease.connection.id, "number": lease.number])
        }
    }

    /// Ends a refresh that the provider refused for good.
    func refuse(_ lease: RefreshLease, _ change: Change) async throws {
        try await database.write { transaction in
            guard try transaction.holds(lease) else { return }
            try transaction.needConsent(lease.connection.id, change)
            try transaction.audit(.refreshRefused, lease.connection, change)
        }
    }

    /// Marks a connection whose token ended and that has no refresh token.
    func exhaust(_ connection: Connection, _ change: Change) async throws {
        try await database.write { transaction in
            let changed = try transaction.execute(
                """
                UPDATE connections SET state = 'needs_consent', updated_at = :now
                WHERE id = :id AND state = 'active' AND token_version = :version
                """, ["id": connection.id, "version": connection.tokenVersion, "now": change.at])
            if changed == 1 { try transaction.audit(.refreshRefused, connection, change) }
        }
    }
}

extension Transaction {
    fileprivate func lease(
        _ connection: Connection, _ terms: LeaseTerms, unknown: Int, _ change: Change
    ) throws -> RefreshLease {
        let number = try one(
            """
            UPDATE connections
            SET lease_number = lease_number + 1, lease_owner = :owner, lease_until = :until,
                refresh_started_at = :now, unknown_outcomes = :unknown
            WHERE id = :id RETURNING lease_number
            """,
            [
                "id": connection.id, "owner": terms.owner, "until": change.at + terms.duration.microseconds,
                "now": change.at, "unknown": unknown,
            ]
        ).get("lease_number", as: Int64.self)
        return RefreshLease(connection: connection, number: number)
    }

    fileprivate func holds(_ lease: RefreshLease) throws -> Bool {
        try first(
            "SELECT 1 AS n FROM connections WHERE id = :id AND lease_number = :number AND token_version = :version",
            [
                "id": lease.connection.id, "number": lease.number, "version": lease.connection.tokenVersion,
            ]) != nil
    }

    fileprivate func needConsent(_ id: String, _ change: Change) throws {
        try execute(
            """
            UPDATE connections
            SET state = 'needs_consent', lease_owner = NULL, lease_until = NULL, refresh_started_at = NULL,
                updated_at = :now
            WHERE id = :id
            """, ["id": id, "now": change.at])
    }
}
