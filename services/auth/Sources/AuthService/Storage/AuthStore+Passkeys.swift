internal import LibCrypto
internal import SQL

/// Passkeys and their challenges.
extension AuthStore {
    /// A challenge that is good once: for one session that registers, or for whoever signs in.
    ///
    /// - Parameter ceremony: What it is good for, and nothing else: one for a registration proves that the password was shown, one
    ///   for showing a passkey does not.
    func makePasskeyChallenge(for ceremony: RelyingParty.Ceremony, session: String?) async throws -> [UInt8] {
        let challenge = try RandomBytes.generate(RelyingParty.challengeLength)
        let hash = try Self.hash(challenge, ceremony)
        let now = clock.now
        try await write { transaction in
            if let session {
                try transaction.execute("DELETE FROM passkey_challenges WHERE session_id = :session", ["session": session])
            }
            try transaction.execute(
                "INSERT INTO passkey_challenges (challenge_hash, session_id, expires_at) VALUES (:hash, :session, :expires)",
                ["hash": hash, "session": session, "expires": now + AuthPolicy.passkeyChallengeLifetime])
        }
        return challenge
    }

    /// Uses a challenge up, whatever comes of it; of many at once, one gets it.
    ///
    /// - Returns: whether it was good for this.
    func usePasskeyChallenge(
        _ challenge: [UInt8], for ceremony: RelyingParty.Ceremony, session: String?
    ) async throws -> Bool {
        let hash = try Self.hash(challenge, ceremony)
        let now = clock.now
        return try await write { transaction in
            try transaction.execute(
                """
                DELETE FROM passkey_challenges
                WHERE challenge_hash = :hash AND session_id IS NOT DISTINCT FROM :session AND expires_at > :now
                """, ["hash": hash, "session": session, "now": now]) == 1
        }
    }

    /// The type that a client names is its own choice, so what a challenge was made for is in what is kept of it.
    private static func hash(_ challenge: [UInt8], _ ceremony: RelyingParty.Ceremony) throws -> [UInt8] {
        try SHA256.hash(Array(ceremony.rawValue.utf8) + challenge)
    }

    /// Oldest first.
    func passkeys(of user: String) async throws -> [StoredPasskey] {
        try await read {
            try $0.query(
                "SELECT \(passkeyColumns) FROM passkeys WHERE user_id = :user ORDER BY created_at, id", ["user": user],
                decodePasskey)
        }
    }

    func passkey(credential: [UInt8]) async throws -> StoredPasskey? {
        try await read {
            try $0.first(
                "SELECT \(passkeyColumns) FROM passkeys WHERE credential_id = :id", ["id": credential], decodePasskey)
        }
    }

    /// Adds a passkey, which counts as shown then, and ends the user's other sessions.
    ///
    /// - Throws: `AuthError.sessionEnded` when the session is over or its user disabled, as may have happened since the device
    ///   was asked; `.tooManyPasskeys`; `.passkeyRefused` when somebody has the credential.
    func add(_ passkey: StoredPasskey, session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        let idle = policy.idleLimit(change.at)
        try await write(raising: notifications, revocations) { transaction in
            try transaction.requireLive(session, of: passkey.userID, at: change.at, idle: idle)
            let count: Int = try transaction.one(
                "SELECT count(*) AS n FROM passkeys WHERE user_id = :user", ["user": passkey.userID]
            ).get("n")
            guard count < AuthPolicy.passkeysPerUser else { throw AuthError.tooManyPasskeys }
            let added = try transaction.execute(
                """
                INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, synced, name, created_at)
                VALUES (:id, :user, :credential, :key, :count, :synced, :name, :now)
                ON CONFLICT (credential_id) DO NOTHING
                """,
                [
                    "id": passkey.id, "user": passkey.userID, "credential": passkey.credentialID, "key": passkey.publicKey,
                    "count": passkey.signCount, "synced": passkey.isSynced ? 1 : 0, "name": passkey.name, "now": change.at,
                ])
            guard added == 1 else { throw AuthError.passkeyRefused }
            // Its user was verified just now, and could sign in with it at once: a backup may follow without that.
            try transaction.execute(
                "UPDATE sessions SET factor_at = :now WHERE id = :id", ["id": session, "now": change.at])
            try transaction.revokeSessions(of: passkey.userID, except: session, at: change.at)
            try transaction.notify(.secondFactorChanged, user: passkey.userID, change)
            try transaction.audit(.passkeyAdded, user: passkey.userID, session: session, detail: passkey.id, change)
        }
    }

    /// Ends the user's other sessions, too.
    ///
    /// - Throws: `AuthError.passkeyNotFound`.
    func deletePasskey(_ id: String, of user: String, keeping session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction in
            let deleted = try transaction.execute(
                "DELETE FROM passkeys WHERE id = :id AND user_id = :user", ["id": id, "user": user])
            guard deleted == 1 else { throw AuthError.passkeyNotFound }
            try transaction.revokeSessions(of: user, except: session, at: change.at)
            try transaction.notify(.secondFactorChanged, user: user, change)
            try transaction.audit(.passkeyRemoved, user: user, session: session, detail: id, change)
        }
    }

    /// - Parameter detail: A word, see `RelyingParty.Failure`.
    func recordRefusedPasskey(user: String?, session: String? = nil, detail: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write { try $0.audit(.passkeyRefused, user: user, session: session, detail: detail, change) }
    }

    /// A counter went back. Its owner is told.
    func recordCopied(_ passkey: StoredPasskey, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications) { [policy] in try $0.reportCopy(of: passkey, policy, change) }
    }
}

private let passkeyColumns =
    "id, user_id, credential_id, public_key, sign_count, synced, name, created_at, last_used_at"

private func decodePasskey(_ row: Row) throws -> StoredPasskey {
    StoredPasskey(
        id: try row.get("id"), userID: try row.get("user_id"), credentialID: try row.get("credential_id"),
        publicKey: try row.get("public_key"), signCount: try row.get("sign_count"), isSynced: try row.get("synced"),
        name: try row.get("name"), createdAt: try row.get("created_at"), lastUsedAt: try row.get("last_used_at"))
}

extension Transaction {
    /// Counts the use of a passkey that was right when it was looked at. What is refused is written down here, so it is
    /// returned and not thrown, which would take that back.
    ///
    /// - Returns: `AuthError.invalidPasskey` when the passkey was removed or used meanwhile, or its user may not sign in.
    func use(_ proof: PasskeyProof, _ policy: AuthPolicy, _ change: Change) throws -> Result<Void, AuthError> {
        let (id, user) = (proof.passkey.id, proof.passkey.userID)
        let changed = try execute(
            """
            UPDATE passkeys SET sign_count = :count, last_used_at = :now
            WHERE id = :id AND user_id = :user AND (sign_count < :count OR (:count = 0 AND sign_count = 0))
                AND EXISTS (SELECT 1 FROM users u WHERE \(maySignIn))
            """, ["id": id, "user": user, "count": proof.signCount, "now": change.at])
        guard changed == 0 else { return .success(()) }
        if try first("SELECT 1 FROM passkeys WHERE id = :id AND user_id = :user", ["id": id, "user": user]) == nil {
            try audit(.passkeyRefused, user: user, detail: RelyingParty.Failure.unknown.rawValue, change)
        } else if try first("SELECT 1 FROM users u WHERE \(maySignIn)", ["user": user]) == nil {
            try audit(.signInDisabled, user: user, change)
        } else {
            // Somebody was first with this count or a later one.
            try reportCopy(of: proof.passkey, policy, change)
        }
        return .failure(.invalidPasskey)
    }

    /// Whoever has a copy can do this without end, so mails are counted.
    fileprivate func reportCopy(of passkey: StoredPasskey, _ policy: AuthPolicy, _ change: Change) throws {
        let isMailed = try mails(for: .passkeyCopied, user: passkey.userID, change).all < policy.mailsPerHour
        if isMailed { try notify(.passkeyCopied, user: passkey.userID, change) }
        try audit(.passkeyCopied, user: passkey.userID, detail: passkey.id, mailed: isMailed, change)
    }

    /// For who asked for it with a new password.
    func removePasskeys(of user: String, _ change: Change) throws {
        let removed = try query("DELETE FROM passkeys WHERE user_id = :user RETURNING id", ["user": user]) {
            try $0.get("id", as: String.self)
        }
        guard !removed.isEmpty else { return }
        try notify(.secondFactorChanged, user: user, change)
        for id in removed.sorted() { try audit(.passkeyRemoved, user: user, detail: id, change) }
    }
}

/// A condition on a row `u` of users, with `:user`.
private let maySignIn = "u.id = :user AND u.disabled_at IS NULL AND u.email_verified_at IS NOT NULL"

extension Queries where Self: ~Copyable {
    /// What binds something to an account asks this where it is stored: a session may have ended since its call came.
    ///
    /// - Throws: `AuthError.sessionEnded` when the session is over or its user disabled.
    func requireLive(_ session: String, of user: String, at now: Timestamp, idle: Timestamp) throws {
        let isLive = try first(
            """
            SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
            WHERE s.id = :id AND s.user_id = :user AND u.disabled_at IS NULL AND \(LiveSession.condition)
            """, ["id": session, "user": user, "now": now, "idle": idle]) != nil
        guard isLive else { throw AuthError.sessionEnded }
    }
}
