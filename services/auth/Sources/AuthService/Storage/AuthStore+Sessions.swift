internal import LibCrypto
internal import SQL
internal import ServiceKit

/// A session to be, and its first refresh token.
struct NewSession: Sendable {
    let id: String
    let refreshToken: OpaqueToken
    let userID: String
    /// As they stand in the access token that has been signed for it, with spaces between them.
    let roles: String
    let proof: SignInProof
    /// When the last factor was shown: `auth_time` of the access token that has been signed.
    let authenticatedAt: Timestamp

    var authentication: Authentication { Authentication(methods: proof.methods, at: authenticatedAt) }
}

/// What a session is begun with.
enum SignInProof: Sendable {
    /// The hash that the password was checked against; when it has changed since, there is no session. And the same
    /// password under today's parameters, when the stored hash is of an older kind.
    case password(Redacted<String>, rehash: Redacted<String>?)
    /// The second step of a sign-in whose password was right.
    case secondStep(Challenge, SecondFactorProof)
    /// A passkey, which verified its user.
    case passkey(PasskeyProof)
}

extension AuthStore {
    /// - Throws: `AuthError.invalidCredentials` when the password was changed while it was being checked;
    ///   `.invalidChallenge`, `.wrongSecondFactor`, `.invalidPasskey` when somebody else was first with the same.
    func startSession(_ session: NewSession, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        let tokenHash = try session.refreshToken.hash
        let agentHash = try SHA256.hash(Array(origin.userAgent.utf8))
        try await write(raising: notifications, revocations) { [policy] transaction -> Result<Void, AuthError> in
            if case .failure(let error) = try transaction.prove(session, policy, change) { return .failure(error) }
            if let limit = policy.sessionLimit(try transaction.tier(of: session.userID)) {
                try transaction.evictSessions(
                    of: session.userID, leaving: limit - 1, idle: policy.idleLimit(change.at), change)
            }
            try transaction.insertSession(session, expiresAt: change.at + policy.sessionLifetime, change)
            try transaction.insertRefreshToken(tokenHash, session: session.id, at: change.at)
            if try transaction.meetsAgent(agentHash, user: session.userID, at: change.at) {
                try transaction.notify(.newSignIn, user: session.userID, change)
            }
            try transaction.audit(
                .signedIn, user: session.userID, session: session.id, detail: session.proof.word, change)
            return .success(())
        }.get()
    }

    /// Records a sign-in that was refused; the same for known and unknown addresses.
    func recordRefusedSignIn(_ event: AuditEvent, user: String?, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write { try $0.audit(event, user: user, change) }
    }

    func sessions(of user: String) async throws -> [Session] {
        let now = clock.now
        let idle = policy.idleLimit(now)
        return try await read { connection in
            try connection.query(
                """
                SELECT s.id, s.created_at, s.last_used_at, s.user_agent, s.address, s.last_address, s.expires_at,
                    s.factor_at
                FROM sessions s
                WHERE s.user_id = :user AND \(LiveSession.condition) ORDER BY s.last_used_at DESC, s.id
                """, ["user": user, "now": now, "idle": idle], decodeSession)
        }
    }

    /// - Parameter session: Or the id of a machine client's token.
    func isLive(session: String) async throws -> Bool {
        let now = clock.now
        let idle = policy.idleLimit(now)
        return try await read { connection in
            try connection.first(
                """
                SELECT 1 FROM sessions s WHERE s.id = :id AND \(LiveSession.condition)
                UNION ALL SELECT 1 FROM client_tokens t WHERE t.id = :id AND \(LiveClientToken.condition)
                """,
                ["id": session, "now": now, "idle": idle]) != nil
        }
    }

    /// Ends one session. Ending it again is fine.
    ///
    /// - Throws: `AuthError.sessionNotFound` when it is not this user's.
    func revoke(session: String, of user: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: revocations) { transaction in
            let owner = try transaction.first("SELECT user_id FROM sessions WHERE id = :id", ["id": session])
            guard try owner?.get("user_id", as: String.self) == user else { throw AuthError.sessionNotFound }
            if try transaction.revoke([session], at: change.at) > 0 {
                try transaction.audit(.sessionRevoked, user: user, session: session, change)
            }
        }
    }

    /// Ends all sessions of a user.
    func revokeAll(of user: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: revocations) { transaction in
            try transaction.revokeSessions(of: user, except: nil, at: change.at)
            try transaction.audit(.sessionsRevoked, user: user, change)
        }
    }
}

extension SignInProof {
    var methods: AuthenticationMethods {
        switch self {
        case .password: .password
        case .secondStep(_, let proof): .password.with(proof.methods)
        case .passkey(let proof): proof.methods
        }
    }

    fileprivate var hasSecondFactor: Bool {
        switch self {
        case .password: false
        case .secondStep, .passkey: true
        }
    }

    /// What the audit trail says.
    fileprivate var word: String {
        switch self {
        case .password: "password"
        case .secondStep(_, let proof): "password " + proof.word
        case .passkey: "passkey"
        }
    }
}

private func decodeSession(_ row: Row) throws -> Session {
    Session(
        id: try row.get("id"), createdAt: try row.get("created_at"), lastUsedAt: try row.get("last_used_at"),
        userAgent: try row.get("user_agent"), address: try row.get("address"),
        lastAddress: try row.get("last_address"), expiresAt: try row.get("expires_at"),
        secondFactorAt: try row.get("factor_at"))
}

extension Transaction {
    /// Ends sessions that are still live, and tells the feed.
    ///
    /// - Returns: how many were live.
    @discardableResult
    func revoke(_ sessions: [String], at now: Timestamp) throws -> Int {
        var count = 0
        for session in sessions {
            let changed = try execute(
                "UPDATE sessions SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
                ["id": session, "now": now])
            guard changed > 0 else { continue }
            count += 1
            try execute("DELETE FROM refresh_tokens WHERE session_id = :id AND rotated_at IS NOT NULL", ["id": session])
            try publishRevocation(of: session, at: now)
        }
        return count
    }

    func revokeSessions(of user: String, except kept: String?, at now: Timestamp) throws {
        let live = try query(
            "SELECT id FROM sessions WHERE user_id = :user AND revoked_at IS NULL AND id <> :kept ORDER BY id",
            ["user": user, "kept": kept ?? ""]
        ) { try $0.get("id", as: String.self) }
        try revoke(live, at: now)
    }

    func insertRefreshToken(_ hash: [UInt8], session: String, at now: Timestamp) throws {
        try execute(
            "INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES (:hash, :session, :now)",
            ["hash": hash, "session": session, "now": now])
    }

    /// The sign-in is for the password that was checked: a change of password meanwhile wins, and so does an admin who
    /// disables the account, or removes the factor that the password needs.
    func confirmPassword(
        of user: String, _ hash: Redacted<String>, rehash: Redacted<String>?, at now: Timestamp
    ) throws {
        let old = hash.exposed
        let changed = try execute(
            """
            UPDATE users SET password_hash = :new, updated_at = :now
            WHERE id = :id AND password_hash = :old AND disabled_at IS NULL AND \(GoodPassword.condition)
            """,
            ["id": user, "old": old, "new": rehash?.exposed ?? old, "now": now])
        guard changed == 1 else { throw AuthError.invalidCredentials }
    }

    /// Looks again, inside the transaction: whatever ended the right to sign in meanwhile wins.
    ///
    /// - Returns: a refusal that was written down.
    fileprivate func prove(_ session: NewSession, _ policy: AuthPolicy, _ change: Change) throws -> Result<Void, AuthError> {
        let now = change.at
        // A role that was taken away meanwhile found no session to end, and stands in a token that is signed already.
        let roles = try first("SELECT roles FROM users WHERE id = :id", ["id": session.userID])?.get("roles", as: String.self)
        guard roles == session.roles else { throw AuthError.invalidCredentials }
        switch session.proof {
        case .password(let hash, let rehash):
            try confirmPassword(of: session.userID, hash, rehash: rehash, at: now)
            guard try !hasSecondFactor(session.userID) else { throw AuthError.invalidCredentials }
            try forgetGuesses(of: session.userID)
        case .secondStep(let challenge, let proof):
            // Whoever disables an account or changes its password drops its challenges.
            try consume(challenge, at: now)
            try use(proof, of: session.userID, at: now)
        case .passkey(let proof):
            let used = try use(proof, policy, change)
            // Whoever guessed the password in a session of before has not shut its owner out of the account's settings.
            if case .success = used { try forgetSessionGuesses(of: session.userID) }
            return used
        }
        return .success(())
    }

    func evictSessions(of user: String, leaving limit: Int, idle: Timestamp, _ change: Change) throws {
        let live = try query(
            """
            SELECT s.id FROM sessions s WHERE s.user_id = :user AND \(LiveSession.condition)
            ORDER BY s.last_used_at DESC, s.id
            """, ["user": user, "now": change.at, "idle": idle]
        ) { try $0.get("id", as: String.self) }
        for session in live.dropFirst(max(0, limit)) {
            try revoke([session], at: change.at)
            try audit(.sessionEvicted, user: user, session: session, change)
        }
    }

    fileprivate func insertSession(_ session: NewSession, expiresAt: Timestamp, _ change: Change) throws {
        try execute(
            """
            INSERT INTO sessions
                (id, user_id, created_at, last_used_at, expires_at, address, network, user_agent, factor_at,
                methods, authenticated_at, token_version)
            VALUES (:id, :user, :now, :now, :expires, :address, :network, :agent, :factor, :methods, :authenticated,
                (SELECT value FROM token_version_counter WHERE id = 1))
            """,
            [
                "id": session.id, "user": session.userID, "now": change.at, "expires": expiresAt,
                "address": change.origin.address, "network": change.origin.network, "agent": change.origin.userAgent,
                "factor": session.proof.hasSecondFactor ? change.at : nil, "methods": session.authentication.methods,
                "authenticated": session.authentication.at,
            ])
    }

    /// - Returns: whether the user has not signed in with this user agent before, or not for a long time.
    fileprivate func meetsAgent(_ hash: [UInt8], user: String, at now: Timestamp) throws -> Bool {
        try one(
            """
            INSERT INTO known_agents (user_id, agent_hash, sign_ins, last_seen_at) VALUES (:user, :hash, 1, :now)
            ON CONFLICT (user_id, agent_hash) DO UPDATE
                SET sign_ins = known_agents.sign_ins + 1, last_seen_at = excluded.last_seen_at
            RETURNING sign_ins
            """, ["user": user, "hash": hash, "now": now]
        ).get("sign_ins", as: Int.self) == 1
    }
}
