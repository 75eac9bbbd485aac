package import SQL
internal import ServiceStorage

/// The outbox. Each method is one transaction.
package struct OutboxStore: Sendable {
    let database: StoreDatabase

    package init(database: Database) { self.database = StoreDatabase(database) }

    /// Brings the schema up to date.
    package func prepare() async throws {
        try await database.migrate(EmailMigrations.all)
    }

    /// The message that the caller's key stands for, if it was used.
    func known(caller: String, key: String) async throws -> KnownMessage? {
        try await database.read { try Self.known($0, caller: caller, key: key) }
    }

    /// Puts the message into the outbox, unless its key came first with another request.
    ///
    /// - Returns: nil when the message is new; else what the key stands for.
    func insert(_ message: NewMessage) async throws -> KnownMessage? {
        try await database.write { transaction in
            let inserted = try transaction.execute(
                """
                INSERT INTO messages (id, caller, idempotency_key, template, digest, payload, state, request_id,
                    created_at, expires_at, due_at)
                VALUES (:id, :caller, :key, :template, :digest, :payload, 'queued', :request,
                    :created, :expires, :created)
                ON CONFLICT (caller, idempotency_key) DO NOTHING
                """,
                [
                    "id": message.id, "caller": message.caller, "key": message.idempotencyKey,
                    "template": message.template, "digest": message.digest, "payload": message.payload,
                    "request": message.requestID, "created": message.createdAt, "expires": message.expiresAt,
                ])
            guard inserted == 0 else { return nil }
            return try Self.known(transaction, caller: message.caller, key: message.idempotencyKey)
        }
    }

    func status(id: String, caller: String?) async throws -> MessageStatus? {
        try await database.read { connection in
            try connection.first(
                "SELECT state, attempts FROM messages WHERE id = :id AND (CAST(:caller AS TEXT) IS NULL OR caller = :caller)",
                ["id": id, "caller": caller]
            ) { try MessageStatus($0) }
        }
    }

    private static func known(
        _ queries: borrowing some Queries & ~Copyable, caller: String, key: String
    ) throws -> KnownMessage? {
        try queries.first(
            "SELECT id, digest FROM messages WHERE caller = :caller AND idempotency_key = :key",
            ["caller": caller, "key": key]
        ) { try KnownMessage($0) }
    }
}
