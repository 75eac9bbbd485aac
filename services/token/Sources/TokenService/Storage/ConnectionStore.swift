package import SQL
internal import ServiceStorage

/// Connections, flows, leases and revocations. Each method is one transaction: the change and its audit row are durable
/// together or not at all.
package struct ConnectionStore: Sendable {
    let database: StoreDatabase

    package init(database: Database) { self.database = StoreDatabase(database) }

    /// Brings the schema up to date.
    package func prepare() async throws {
        try await database.migrate(TokenMigrations.all)
    }

    /// A user's connections, oldest first.
    func connections(of user: String) async throws -> [Connection] {
        try await database.read { reader in
            try reader.query(
                """
                SELECT \(Connection.columns) FROM connections
                WHERE user_id = :user AND state <> 'deleted' ORDER BY created_at, id
                """, ["user": user]
            ) { try Connection($0) }
        }
    }

    /// The user's connection of that id; nil also when it is another user's or deleted.
    func connection(_ id: String, of user: String) async throws -> Connection? {
        try await database.read { reader in
            try reader.first(
                """
                SELECT \(Connection.columns) FROM connections
                WHERE id = :id AND user_id = :user AND state <> 'deleted'
                """, ["id": id, "user": user]
            ) { try Connection($0) }
        }
    }

    func recordRead(_ connection: Connection, _ change: Change) async throws {
        try await database.write { try $0.audit(.tokenRead, connection, change) }
    }

    /// Takes the connection from its user at once; its tokens move, sealed as they are, to where they wait for their
    /// revocation.
    ///
    /// - Returns: the revocation's id when there is something to revoke.
    /// - Throws: `TokenError.unknownConnection`; deleting twice is no error.
    func delete(_ id: String, of user: String, _ change: Change) async throws -> String? {
        try await database.write { transaction in
            let found = try transaction.first(
                "SELECT \(Connection.columns) FROM connections WHERE id = :id AND user_id = :user",
                ["id": id, "user": user]
            ) { try Connection($0) }
            guard let connection = found else { throw TokenError.unknownConnection }
            guard connection.state != .deleted else { return nil }
            try transaction.erase(id, change)
            try transaction.audit(.disconnected, connection, change)
            return try transaction.revoke(connection.tokens, of: connection.id, at: connection.provider, change)
        }
    }

    /// The same for all connections of a user whose account is deleted.
    ///
    /// - Returns: how many there were.
    func deleteAll(of user: String, _ change: Change) async throws -> Int {
        try await database.write { transaction in
            let connections = try transaction.query(
                "SELECT \(Connection.columns) FROM connections WHERE user_id = :user AND state <> 'deleted' ORDER BY id",
                ["user": user]
            ) { try Connection($0) }
            for connection in connections {
                try transaction.erase(connection.id, change)
                try transaction.audit(.disconnected, connection, change)
                _ = try transaction.revoke(connection.tokens, of: connection.id, at: connection.provider, change)
            }
            return connections.count
        }
    }

    /// Drops what has outlived its use: flows that nobody finished or whose process died with them, and marks of
    /// deleted connections.
    ///
    /// - Parameters:
    ///   - limit: Marks of before are dropped.
    ///   - begun: A flow that began before has neither a callback to come nor an exchange under way.
    func purge(deletedBefore limit: Microseconds, pendingSince begun: Microseconds, _ change: Change) async throws {
        let isNeeded = try await database.read { reader in
            try reader.first(Self.needsPurge, ["now": change.at, "limit": limit, "begun": begun]) != nil
        }
        guard isNeeded else { return }
        try await database.write { transaction in
            try transaction.execute(
                """
                UPDATE connections SET state = 'deleted', updated_at = :now
                WHERE state = 'pending' AND id IN (SELECT connection_id FROM authorizations WHERE expires_at <= :now)
                """, ["now": change.at])
            try transaction.execute("DELETE FROM authorizations WHERE expires_at <= :now", ["now": change.at])
            try transaction.execute(Self.deleteLost, ["now": change.at, "begun": begun])
            try transaction.execute(Self.dropDeleted, ["limit": limit])
        }
    }

    /// Statements that run each minute: each finds its rows by range.
    static let needsPurge = """
        SELECT 1 AS n FROM authorizations WHERE expires_at <= :now
        UNION ALL SELECT 1 FROM connections WHERE \(isLost)
        UNION ALL SELECT 1 FROM connections WHERE state = 'deleted' AND updated_at < :limit LIMIT 1
        """
    static let deleteLost = "UPDATE connections SET state = 'deleted', updated_at = :now WHERE \(isLost)"
    static let dropDeleted = "DELETE FROM connections WHERE state = 'deleted' AND updated_at < :limit"

    /// The state was used up, and the process died before the exchange ended: without its flow nothing else finds it.
    private static let isLost = """
        state = 'pending' AND created_at <= :begun
            AND NOT EXISTS (SELECT 1 FROM authorizations WHERE connection_id = connections.id)
        """

    /// Frees what an earlier process of the same name held when it ended. What it had begun stays marked as begun.
    func releaseLeases(of owner: String) async throws {
        try await database.write { transaction in
            for table in ["connections", "revocations"] {
                try transaction.execute(
                    "UPDATE \(table) SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = :owner",
                    ["owner": owner])
            }
        }
    }
}

extension Transaction {
    /// Makes the connection a mark: no tokens, no flow, no lease.
    func erase(_ id: String, _ change: Change) throws {
        try execute("DELETE FROM authorizations WHERE connection_id = :id", ["id": id])
        try execute(
            """
            UPDATE connections
            SET state = 'deleted', access_token = NULL, refresh_token = NULL, lease_owner = NULL, lease_until = NULL,
                refresh_started_at = NULL, updated_at = :now
            WHERE id = :id
            """, ["id": id, "now": change.at])
    }

    /// Queues tokens for revocation.
    ///
    /// - Returns: the revocation's id; nil when there is no token.
    func revoke(
        _ tokens: SealedTokens, of connection: String, at provider: String, _ change: Change
    ) throws -> String? {
        guard tokens.accessToken != nil || tokens.refreshToken != nil else { return nil }
        let id = try Identifier.revocation.make()
        try execute(
            """
            INSERT INTO revocations (id, connection_id, provider, access_token, refresh_token, created_at, due_at)
            VALUES (:id, :connection, :provider, :access, :refresh, :now, :now)
            """,
            [
                "id": id, "connection": connection, "provider": provider, "access": tokens.accessToken,
                "refresh": tokens.refreshToken, "now": change.at,
            ])
        return id
    }
}
