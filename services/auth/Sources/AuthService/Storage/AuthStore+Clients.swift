internal import LibCrypto
internal import SQL
internal import ServiceKit

/// Machine clients and their secrets. Every change is audited with who did it.
extension AuthStore {
    /// - Throws: `AuthError.unknownRole`, `.tooManyClients`.
    func createClient(
        _ client: MachineClient, secret: OpaqueToken, by actor: Actor, _ origin: Origin
    ) async throws -> MachineClient {
        for scope in client.scopes { try Role.check(scope, field: "scopes") }
        let change = Change(at: clock.now, origin: origin)
        let hash = try secret.hash
        return try await write { transaction in
            let count: Int = try transaction.one("SELECT count(*) AS n FROM clients").get("n")
            guard count < AuthPolicy.clientsAtMost else { throw AuthError.tooManyClients }
            try transaction.execute(
                "INSERT INTO clients (id, name, scopes, created_at) VALUES (:id, :name, :scopes, :now)",
                [
                    "id": client.id, "name": client.name, "scopes": client.scopes.joined(separator: " "), "now": change.at,
                ])
            try transaction.insertSecret(hash, of: client.id, at: change.at)
            try transaction.audit(
                .clientCreated, user: client.id, by: actor, detail: client.scopes.joined(separator: " "), change)
            return try transaction.client(client.id)
        }
    }

    /// In the order of their names.
    func clients() async throws -> [MachineClient] {
        try await read { try $0.query("SELECT \(clientColumns) FROM clients c ORDER BY c.name, c.id", [:], decodeClient) }
    }

    /// A further secret; of the earlier ones the newest stays good, or none.
    ///
    /// - Throws: `AuthError.clientNotFound`.
    func rotateSecret(
        of id: String, to secret: OpaqueToken, endingPrevious: Bool, by actor: Actor, _ origin: Origin
    ) async throws -> MachineClient {
        let change = Change(at: clock.now, origin: origin)
        let hash = try secret.hash
        let kept = endingPrevious ? 0 : AuthPolicy.secretsPerClient - 1
        return try await write(raising: revocations) { transaction in
            _ = try transaction.client(id)
            let ended = try transaction.query(
                """
                SELECT id FROM client_secrets WHERE client_id = :client
                ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET :kept
                """, ["client": id, "kept": kept]
            ) { try $0.get("id", as: String.self) }
            for secret in ended {
                try transaction.revokeTokens("secret_id", secret, at: change.at)
                try transaction.execute("DELETE FROM client_secrets WHERE id = :id", ["id": secret])
            }
            try transaction.insertSecret(hash, of: id, at: change.at)
            try transaction.audit(
                .clientSecretMade, user: id, by: actor, detail: endingPrevious ? "previous ended" : "", change)
            return try transaction.client(id)
        }
    }

    /// Ends the client's tokens, too. Removing it again is fine.
    func deleteClient(_ id: String, by actor: Actor, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: revocations) { transaction in
            guard try transaction.first("SELECT 1 FROM clients WHERE id = :id", ["id": id]) != nil else { return }
            try transaction.revokeTokens("client_id", id, at: change.at)
            try transaction.audit(.clientRemoved, user: id, by: actor, change)
            try transaction.execute("DELETE FROM clients WHERE id = :id", ["id": id])
        }
    }
}

/// What clients do themselves.
extension AuthStore {
    /// The client whose secret it is. An id that no client has costs the same statements as a wrong secret.
    ///
    /// - Parameter secret: Nil for what is none, by its prefix or checksum. It counts as a guess, so that it fills no audit trail.
    /// - Throws: `AuthError.invalidClient`, after counting the guess.
    func authenticate(client id: String, secret: OpaqueToken?, _ origin: Origin) async throws -> AuthenticatedClient {
        let change = Change(at: clock.now, origin: origin)
        let hash = try secret?.hash ?? []
        let subject = try ClientGuessLimit.subject(client: id, network: origin.network)
        let state = try await read { try $0.clientGuess(id, hash, subject, before: change.at - ClientGuessLimit.pause) }
        guard let client = state.client else {
            // Nothing is written down while it is closed: the guesses that closed it were. The right secret is good even then:
            // who shares the client's network, or its address translator, must not keep it out.
            guard !state.isClosed else { throw AuthError.invalidClient }
            try await write { transaction in
                try transaction.execute(
                    """
                    INSERT INTO guesses (subject, lane, in_a_row, last_at) VALUES (:subject, :lane, 1, :now)
                    ON CONFLICT (subject, lane) DO UPDATE SET in_a_row = guesses.in_a_row + 1, last_at = excluded.last_at
                        WHERE NOT (\(isClosed))
                    """,
                    [
                        "subject": subject, "lane": GuessLane.client, "now": change.at, "burst": ClientGuessLimit.burst,
                        "before": change.at - ClientGuessLimit.pause,
                    ])
                try transaction.audit(
                    .clientRefused, user: state.isKnown ? id : nil, detail: secret == nil ? "malformed" : "", change)
            }
            throw AuthError.invalidClient
        }
        if state.isCounted {
            try await write {
                _ = try $0.execute(
                    "DELETE FROM guesses WHERE subject = :subject AND lane = :lane",
                    ["subject": subject, "lane": GuessLane.client])
            }
        }
        return client
    }

    /// Writes down that a token was issued; without that it is not live.
    ///
    /// - Throws: `AuthError.invalidClient` when the client, its secret or a scope was taken away meanwhile.
    func record(_ token: ClientToken, scopes: [String], _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write { transaction in
            let current = try transaction.first(
                """
                SELECT c.scopes FROM client_secrets s JOIN clients c ON c.id = s.client_id
                WHERE s.id = :secret AND c.id = :client
                """, ["secret": token.client.secretID, "client": token.client.id]
            ) { try $0.get("scopes", as: String.self).roleList }
            guard let current, scopes.allSatisfy(current.contains) else { throw AuthError.invalidClient }
            try transaction.execute(
                """
                INSERT INTO client_tokens (id, client_id, secret_id, token_version, issued_at, expires_at)
                VALUES (:id, :client, :secret, (SELECT value FROM token_version_counter WHERE id = 1), :now, :expires)
                """,
                [
                    "id": token.id, "client": token.client.id, "secret": token.client.secretID, "now": change.at,
                    "expires": token.expiresAt,
                ])
            try transaction.audit(
                .clientTokenIssued, user: token.client.id, session: token.id, detail: scopes.joined(separator: " "), change)
        }
    }

    /// Ends a token of the client's. Ending it again is fine.
    func revoke(token id: String, of client: AuthenticatedClient, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: revocations) { transaction in
            guard try transaction.revokeTokens("id", id, at: change.at) > 0 else { return }
            try transaction.audit(.clientTokenRevoked, user: client.id, session: id, change)
        }
    }

    /// Whether somebody has had this refresh token.
    func isKnown(refreshToken token: OpaqueToken) async throws -> Bool {
        let hash = try token.hash
        return try await read {
            try $0.first("SELECT 1 FROM refresh_tokens WHERE token_hash = :hash", ["hash": hash]) != nil
        }
    }
}

/// When a client's token is live, as a condition on a row `t` of client_tokens, with `:now`; see `LiveSession`.
enum LiveClientToken {
    static let condition = """
        t.revoked_at IS NULL AND t.expires_at > :now AND NOT EXISTS (
            SELECT 1 FROM minimum_versions m
            WHERE m.version > t.token_version AND m.effective_at <= :now AND m.user_id IS NULL)
        """
}

/// The guesses of a network are not looked at for now, as a condition with `:burst` and `:before`; see `ClientGuessLimit`.
private let isClosed = "guesses.in_a_row % :burst = 0 AND guesses.last_at > :before"

/// What a secret that was shown comes to.
private struct ClientGuess {
    /// Whose secret it is.
    var client: AuthenticatedClient?
    var isKnown = false
    var isCounted = false
    var isClosed = false
}

private let clientColumns = """
    c.id, c.name, c.scopes, c.created_at, (SELECT count(*) FROM client_secrets s WHERE s.client_id = c.id) AS secrets,
    (SELECT max(t.issued_at) FROM client_tokens t WHERE t.client_id = c.id) AS last_used_at
    """

private func decodeClient(_ row: Row) throws -> MachineClient {
    MachineClient(
        id: try row.get("id"), name: try row.get("name"), scopes: try row.get("scopes", as: String.self).roleList,
        createdAt: try row.get("created_at"), liveSecrets: try row.get("secrets"), lastUsedAt: try row.get("last_used_at"))
}

extension Queries where Self: ~Copyable {
    /// The same statements and comparisons for a client that is there and one that is not.
    fileprivate func clientGuess(_ id: String, _ hash: [UInt8], _ subject: String, before: Timestamp) throws -> ClientGuess {
        let secrets = try query(
            """
            SELECT s.id, s.secret_hash, c.scopes FROM client_secrets s JOIN clients c ON c.id = s.client_id
            WHERE s.client_id = :id
            """, ["id": id]
        ) { row in
            (
                client: AuthenticatedClient(
                    id: id, scopes: try row.get("scopes", as: String.self).roleList, secretID: try row.get("id")),
                hash: try row.get("secret_hash", as: [UInt8].self)
            )
        }
        var guess = ClientGuess()
        for (client, other) in secrets where constantTimeEqual(hash, other) { guess.client = client }
        if secrets.isEmpty { _ = constantTimeEqual(hash, [UInt8](repeating: 0, count: hash.count)) }
        guess.isKnown = !secrets.isEmpty
        let row = try first(
            """
            SELECT CASE WHEN \(isClosed) THEN 1 ELSE 0 END AS closed FROM guesses
            WHERE subject = :subject AND lane = :lane
            """,
            ["subject": subject, "lane": GuessLane.client, "burst": ClientGuessLimit.burst, "before": before])
        guess.isCounted = row != nil
        guess.isClosed = try row?.get("closed", as: Bool.self) ?? false
        return guess
    }

    /// - Throws: `AuthError.clientNotFound`.
    fileprivate func client(_ id: String) throws -> MachineClient {
        let client = try first("SELECT \(clientColumns) FROM clients c WHERE c.id = :id", ["id": id], decodeClient)
        guard let client else { throw AuthError.clientNotFound }
        return client
    }
}

extension Transaction {
    fileprivate func insertSecret(_ hash: [UInt8], of client: String, at now: Timestamp) throws {
        try execute(
            "INSERT INTO client_secrets (secret_hash, id, client_id, created_at) VALUES (:hash, :id, :client, :now)",
            ["hash": hash, "id": Identifier.clientSecret.make(), "client": client, "now": now])
    }

    /// Ends tokens that are still live, and tells the feed.
    ///
    /// - Returns: how many were live.
    @discardableResult
    fileprivate func revokeTokens(_ column: String, _ value: String, at now: Timestamp) throws -> Int {
        let live = try query(
            "SELECT id FROM client_tokens WHERE \(column) = :value AND revoked_at IS NULL AND expires_at > :now ORDER BY id",
            ["value": value, "now": now]
        ) { try $0.get("id", as: String.self) }
        for token in live {
            try execute("UPDATE client_tokens SET revoked_at = :now WHERE id = :id", ["id": token, "now": now])
            try publishRevocation(of: token, at: now)
        }
        return live.count
    }
}
