internal import SQL

/// A refresh token that may be exchanged, as found before the new access token is signed.
struct RefreshableSession: Sendable {
    let sessionID: String
    let userID: String
    let roles: String
    /// Of the session, however often it is refreshed.
    let expiresAt: Timestamp
    let authentication: Authentication
}

extension AuthStore {
    /// Looks a refresh token up by its hash: one row, never a scan. Changes nothing, unless it finds a replay.
    ///
    /// - Throws: `AuthError` `.invalidRefreshToken`, `.sessionEnded`, `.refreshTokenReused`.
    func refreshableSession(_ token: OpaqueToken, _ origin: Origin) async throws -> RefreshableSession {
        let hash = try token.hash
        let now = clock.now
        let idle = policy.idleLimit(now)
        let state = try await read { try $0.refreshToken(hash, now: now, idle: idle) }
        guard let state else { throw AuthError.invalidRefreshToken }
        switch RefreshDecision(state, now: now, grace: policy.refreshGrace) {
        case .rotate, .repeatSuccessor: break
        case .ended: throw AuthError.sessionEnded
        case .endFamily: _ = try await exchange(token, for: token, origin)
        }
        return RefreshableSession(
            sessionID: state.sessionID, userID: state.userID, roles: state.roles, expiresAt: state.sessionExpiresAt,
            authentication: state.authentication)
    }

    /// Exchanges a refresh token: decides again inside the transaction, since others may have come first.
    ///
    /// - Parameter fresh: what follows when this is the first use.
    /// - Returns: `fresh`, or the successor that the first use made.
    func exchange(_ token: OpaqueToken, for fresh: OpaqueToken, _ origin: Origin) async throws -> OpaqueToken {
        let hash = try token.hash
        let freshHash = try fresh.hash
        let sealed = try token.seal(fresh)
        let change = Change(at: clock.now, origin: origin)
        let grace = policy.refreshGrace
        let idle = policy.idleLimit(change.at)
        let outcome = try await write { transaction -> Result<[UInt8]?, AuthError> in
            guard let state = try transaction.refreshToken(hash, now: change.at, idle: idle) else { return .failure(.invalidRefreshToken) }
            switch RefreshDecision(state, now: change.at, grace: grace) {
            case .ended:
                return .failure(.sessionEnded)
            case .endFamily:
                try transaction.revoke([state.sessionID], at: change.at)
                try transaction.audit(.tokenReused, user: state.userID, session: state.sessionID, change)
                return .failure(.refreshTokenReused)
            case .repeatSuccessor(let sealed):
                return .success(sealed)
            case .rotate:
                try transaction.rotate(hash, sealed: sealed, successor: freshHash, state, change)
                return .success(nil)
            }
        }
        if case .failure(.refreshTokenReused) = outcome { revocations.raise() }
        guard let earlier = try outcome.get() else { return fresh }
        guard let successor = try token.openSuccessor(earlier) else { throw AuthError.invalidRefreshToken }
        return successor
    }
}

extension Queries where Self: ~Copyable {
    fileprivate func refreshToken(_ hash: [UInt8], now: Timestamp, idle: Timestamp) throws -> RefreshTokenState? {
        try first(
            """
            SELECT t.session_id, t.created_at, t.rotated_at, t.sealed_successor, s.user_id, s.expires_at, s.revoked_at,
                s.methods, s.authenticated_at, u.roles, CASE WHEN \(LiveSession.isOver) THEN 1 ELSE 0 END AS is_over
            FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
            WHERE t.token_hash = :hash
            """, ["hash": hash, "now": now, "idle": idle]
        ) { row in
            RefreshTokenState(
                sessionID: try row.get("session_id"), userID: try row.get("user_id"), roles: try row.get("roles"),
                createdAt: try row.get("created_at"), rotatedAt: try row.get("rotated_at"),
                sealedSuccessor: try row.get("sealed_successor"), sessionExpiresAt: try row.get("expires_at"),
                sessionRevokedAt: try row.get("revoked_at"),
                authentication: Authentication(methods: try row.get("methods"), at: try row.get("authenticated_at")),
                isOver: try row.get("is_over"))
        }
    }
}

extension Transaction {
    fileprivate func rotate(
        _ hash: [UInt8], sealed: [UInt8], successor: [UInt8], _ state: RefreshTokenState, _ change: Change
    ) throws {
        try execute(
            "UPDATE refresh_tokens SET rotated_at = :now, sealed_successor = :sealed WHERE token_hash = :hash",
            ["hash": hash, "sealed": sealed, "now": change.at])
        try insertRefreshToken(successor, session: state.sessionID, at: change.at)
        try execute(
            "UPDATE sessions SET last_used_at = :now, last_address = :address WHERE id = :id",
            ["id": state.sessionID, "now": change.at, "address": change.origin.address])
        try audit(.tokenRefreshed, user: state.userID, session: state.sessionID, change)
    }
}
