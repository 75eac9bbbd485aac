internal import SQL

/// Where a link stands.
package enum ConnectionState: String, Sendable, SQLValue {
    case pending
    case active
    case needsConsent = "needs_consent"
    /// Kept as a mark, without tokens, so that deleting twice is deleting once.
    case deleted
}

/// One user's link to one provider.
package struct Connection: Sendable {
    package let id: String
    package let userID: String
    package let provider: String
    package let state: ConnectionState
    package let createdAt: Microseconds
    let scope: String
    let tokenType: String
    let tokens: SealedTokens
    let expiresAt: Microseconds?
    let tokenVersion: Int64

    static let columns = """
        id, user_id, provider, state, created_at, scope, token_type, access_token, refresh_token, expires_at,
        token_version
        """

    init(_ row: Row) throws {
        id = try row.get("id")
        userID = try row.get("user_id")
        provider = try row.get("provider")
        state = try row.get("state")
        createdAt = try row.get("created_at")
        scope = try row.get("scope")
        tokenType = try row.get("token_type")
        tokens = SealedTokens(
            accessToken: try row.get("access_token"), refreshToken: try row.get("refresh_token"))
        expiresAt = try row.get("expires_at")
        tokenVersion = try row.get("token_version")
    }

    /// Whether the access token ends within `margin`.
    func endsWithin(_ margin: Duration, of now: Microseconds) -> Bool {
        expiresAt.map { $0 <= now + margin.microseconds } ?? false
    }
}

/// A flow whose `state` has just been used up.
struct Authorization: Sendable {
    let connectionID: String
    let userID: String
    let provider: String
    let verifier: [UInt8]
    let expiresAt: Microseconds

    init(_ row: Row) throws {
        connectionID = try row.get("connection_id")
        userID = try row.get("user_id")
        provider = try row.get("provider")
        verifier = try row.get("verifier")
        expiresAt = try row.get("expires_at")
    }
}

/// How long a claim lasts and in whose name.
struct LeaseTerms: Sendable {
    let owner: String
    let duration: Duration
}

/// The right to refresh one connection, until it ends.
struct RefreshLease: Sendable {
    let connection: Connection
    let number: Int64
}

/// Tokens that a provider still has to be told to forget.
struct Revocation: Sendable {
    let id: String
    let connectionID: String
    let provider: String
    let tokens: SealedTokens
    let createdAt: Microseconds
    /// 1 for the first.
    let attempt: Int
    let leaseNumber: Int64

    static let columns = """
        id, connection_id, provider, access_token, refresh_token, created_at, attempts, lease_number
        """

    init(_ row: Row) throws {
        id = try row.get("id")
        connectionID = try row.get("connection_id")
        provider = try row.get("provider")
        tokens = SealedTokens(
            accessToken: try row.get("access_token"), refreshToken: try row.get("refresh_token"))
        createdAt = try row.get("created_at")
        attempt = try row.get("attempts")
        leaseNumber = try row.get("lease_number")
    }
}

/// New tokens on their way into the database.
struct TokenUpdate: Sendable {
    let sealed: SealedTokens
    let tokenType: String
    /// Nil keeps what was granted before.
    let scope: String?
    let expiresAt: Microseconds?

    init(_ tokens: ProviderTokens, sealed: SealedTokens, now: Microseconds) {
        self.sealed = sealed
        tokenType = tokens.tokenType
        scope = tokens.scope
        expiresAt = tokens.lifetime.map { now + $0.microseconds }
    }
}

/// When and by which request something is done.
struct Change: Sendable {
    let at: Microseconds
    let requestID: String
}

/// What is written into the audit trail.
enum AuditEvent: String, Sendable, SQLValue {
    case started = "connection_started"
    case connected = "connection_completed"
    case connectFailed = "connection_failed"
    case tokenRead = "token_read"
    case tokenRefreshed = "token_refreshed"
    case refreshRefused = "token_refresh_refused"
    case refreshUnknown = "token_refresh_unknown"
    case disconnected = "connection_deleted"
    case revoked = "tokens_revoked"
    case revocationAbandoned = "token_revocation_abandoned"
}

extension Transaction {
    func audit(
        _ event: AuditEvent, user: String?, connection: String, provider: String, _ change: Change
    ) throws {
        try execute(
            """
            INSERT INTO audit_events (id, at, event, user_id, connection_id, provider, request_id)
            VALUES (:id, :at, :event, :user, :connection, :provider, :request)
            """,
            [
                "id": Identifier.auditEvent.make(), "at": change.at, "event": event, "user": user,
                "connection": connection, "provider": provider, "request": change.requestID,
            ])
    }

    func audit(_ event: AuditEvent, _ connection: Connection, _ change: Change) throws {
        try audit(
            event, user: connection.userID, connection: connection.id, provider: connection.provider, change)
    }
}
