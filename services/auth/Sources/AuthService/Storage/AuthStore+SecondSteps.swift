internal import SQL
internal import ServiceKit

/// Sign-ins that wait for a second factor, sessions that show one, and the count of wrong codes.
extension AuthStore {
    /// The right password of a user with a second factor: no session yet, but a token to come back with.
    ///
    /// - Throws: `AuthError.invalidCredentials` when the password was changed while it was being checked.
    func begin(
        _ challenge: Challenge, verified hash: Redacted<String>, rehash: Redacted<String>?, _ origin: Origin
    ) async throws {
        let change = Change(at: clock.now, origin: origin)
        let tokenHash = try challenge.token.hash
        try await write { transaction in
            try transaction.confirmPassword(of: challenge.userID, hash, rehash: rehash, at: change.at)
            try transaction.forgetGuesses(of: challenge.userID)
            try transaction.keepNewestChallenges(of: challenge.userID, AuthPolicy.challengesAtOnce - 1)
            try transaction.execute(
                "INSERT INTO challenges (token_hash, user_id, expires_at) VALUES (:hash, :user, :expires)",
                [
                    "hash": tokenHash, "user": challenge.userID,
                    "expires": change.at + AuthPolicy.challengeLifetime,
                ])
            try transaction.audit(.secondFactorAsked, user: challenge.userID, change)
        }
    }

    /// Whose sign-in waits, without using the token: a wrong code does not cost the password.
    ///
    /// - Throws: `AuthError.invalidChallenge`.
    func challenged(_ token: OpaqueToken) async throws -> Credentials {
        let hash = try token.hash
        let now = clock.now
        let user = try await read { connection in
            try connection.first(
                "SELECT user_id FROM challenges WHERE token_hash = :hash AND expires_at > :now",
                ["hash": hash, "now": now]
            ) { try $0.get("user_id", as: String.self) }
        }
        guard let user, let credentials = try await credentials(userID: user) else { throw AuthError.invalidChallenge }
        return credentials
    }

    /// Counts a code of an app before it is looked at.
    ///
    /// - Parameter lane: `secondFactor` or `stepUp`.
    /// - Returns: nil when it is not to be looked at, see `CodeLimit`.
    func countCode(of user: String, _ lane: GuessLane) async throws -> Guess? {
        let now = clock.now
        return try await write { transaction in
            let row = try transaction.first(
                """
                INSERT INTO guesses (subject, lane, user_id, in_a_row, last_at) VALUES (:user, :lane, :user, 1, :now)
                ON CONFLICT (subject, lane) DO UPDATE SET in_a_row = guesses.in_a_row + 1, last_at = excluded.last_at
                    WHERE guesses.in_a_row < :most
                        AND (guesses.in_a_row = 0 OR guesses.in_a_row % :burst <> 0 OR guesses.last_at <= :before)
                RETURNING in_a_row
                """,
                [
                    "user": user, "lane": lane, "now": now, "most": lane.limit,
                    "burst": CodeLimit.burst, "before": now - CodeLimit.pause,
                ])
            guard let row else { return nil }
            return Guess(credentials: nil, subject: user, lane: lane, number: try row.get("in_a_row"))
        }
    }

    /// Notes that a second factor was shown in a session.
    ///
    /// - Throws: `AuthError.wrongSecondFactor` when the code was used meanwhile.
    func stepUp(_ session: String, of user: String, with proof: SecondFactorProof, _ origin: Origin) async throws -> Timestamp {
        let change = Change(at: clock.now, origin: origin)
        try await write { transaction in
            try transaction.use(proof, of: user, at: change.at)
            try transaction.markSecondFactor(session: session, of: user, proof.methods, at: change.at)
            try transaction.audit(.steppedUp, user: user, session: session, detail: proof.word, change)
        }
        return change.at + policy.stepUpAge
    }

    /// The same with a passkey, which is used up for this count.
    ///
    /// - Throws: `AuthError.invalidPasskey` when it was removed or used meanwhile, or its user may not sign in.
    func stepUp(_ session: String, with proof: PasskeyProof, _ origin: Origin) async throws -> Timestamp {
        let change = Change(at: clock.now, origin: origin)
        let user = proof.passkey.userID
        try await write(raising: notifications) { [policy] transaction -> Result<Void, AuthError> in
            let used = try transaction.use(proof, policy, change)
            guard case .success = used else { return used }
            try transaction.markSecondFactor(session: session, of: user, proof.methods, at: change.at)
            try transaction.audit(.steppedUp, user: user, session: session, detail: "passkey", change)
            return used
        }.get()
        return change.at + policy.stepUpAge
    }

    /// Passes where the user has neither second factor nor passkey, or has shown one in this session lately: what changes the
    /// account, or takes its data away, asks for the highest level that the account has (NIST SP 800-63B-4, 4.1.2).
    ///
    /// - Throws: `AuthError.stepUpRequired`.
    func requireStepUp(_ session: String, of user: String) async throws {
        let limit = clock.now - policy.stepUpAge
        let missing: StepUpWays? = try await read { connection in
            let ways = try connection.stepUpWays(of: user)
            if ways.isEmpty { return nil }
            let isShown = try connection.first(
                "SELECT 1 FROM sessions WHERE id = :id AND user_id = :user AND factor_at > :limit",
                ["id": session, "user": user, "limit": limit]) != nil
            return isShown ? nil : ways
        }
        if let missing { throw AuthError.stepUpRequired(missing) }
    }
}

extension Queries where Self: ~Copyable {
    func stepUpWays(of user: String) throws -> StepUpWays {
        let row = try one(
            """
            SELECT EXISTS (SELECT 1 FROM factors WHERE user_id = :user AND confirmed_at IS NOT NULL) AS app,
                EXISTS (SELECT 1 FROM recovery_codes WHERE user_id = :user) AS codes,
                EXISTS (SELECT 1 FROM passkeys WHERE user_id = :user) AS passkey
            """, ["user": user])
        return StepUpWays(
            hasApp: try row.get("app"), hasRecoveryCodes: try row.get("codes"), hasPasskey: try row.get("passkey"))
    }
}

extension AuthStore {
    /// Passes where the user has shown a second factor or a passkey in this session lately; or the password, for who has neither.
    ///
    /// - Throws: `AuthError.stepUpRequired`, `.reauthenticationRequired`.
    func requireRecentAuthentication(_ session: String, of user: String) async throws {
        try await requireStepUp(session, of: user)
        let limit = clock.now - policy.stepUpAge
        let isRecent = try await read { connection in
            if try connection.hasAuthenticator(user) { return true }
            return try connection.first(
                "SELECT 1 FROM sessions WHERE id = :id AND user_id = :user AND authenticated_at > :limit",
                ["id": session, "user": user, "limit": limit]) != nil
        }
        guard isRecent else { throw AuthError.reauthenticationRequired }
    }

    /// Notes that the password was shown again in a session. Who has a second factor or a passkey shows that instead: the
    /// password alone must not make a session of two factors look fresh.
    ///
    /// - Throws: `AuthError.stepUpRequired`.
    func confirmPassword(in session: String, of user: String, _ origin: Origin) async throws -> Timestamp {
        let change = Change(at: clock.now, origin: origin)
        try await write { transaction in
            let ways = try transaction.stepUpWays(of: user)
            guard ways.isEmpty else { throw AuthError.stepUpRequired(ways) }
            try transaction.execute(
                "UPDATE sessions SET authenticated_at = :now WHERE id = :id AND user_id = :user",
                ["id": session, "user": user, "now": change.at])
            try transaction.audit(.steppedUp, user: user, session: session, detail: "password", change)
        }
        return change.at + policy.stepUpAge
    }
}

extension SecondFactorProof {
    var methods: AuthenticationMethods {
        switch self {
        case .totp, .recovery: .oneTimePassword
        }
    }

    /// What the audit trail says.
    var word: String {
        switch self {
        case .totp: "totp"
        case .recovery: "recovery_code"
        }
    }
}

extension Transaction {
    /// Uses a factor up: a step of an app, a recovery code.
    ///
    /// - Throws: `AuthError.wrongSecondFactor` when that was done meanwhile.
    func use(_ proof: SecondFactorProof, of user: String, at now: Timestamp) throws {
        let changed =
            switch proof {
            case .totp(let factor, let step):
                try execute(
                    """
                    UPDATE factors SET last_step = :step, last_used_at = :now
                    WHERE id = :id AND user_id = :user AND confirmed_at IS NOT NULL AND last_step < :step
                    """, ["id": factor, "user": user, "step": step, "now": now])
            case .recovery(let hash):
                try execute(
                    "DELETE FROM recovery_codes WHERE code_hash = :hash AND user_id = :user",
                    ["hash": hash, "user": user])
            }
        guard changed == 1 else { throw AuthError.wrongSecondFactor }
        try forgetCodes(of: user)
    }

    /// The session's next access token says so, too.
    func markSecondFactor(session: String, of user: String, _ methods: AuthenticationMethods, at now: Timestamp) throws {
        let before = try first(
            "SELECT methods FROM sessions WHERE id = :id AND user_id = :user", ["id": session, "user": user]
        ) { try $0.get("methods", as: AuthenticationMethods.self) }
        guard let before else { return }
        try execute(
            "UPDATE sessions SET factor_at = :now, authenticated_at = :now, methods = :methods WHERE id = :id",
            ["id": session, "now": now, "methods": before.with(methods)])
    }

    /// Uses the token up; of many at once, one gets the session.
    ///
    /// - Throws: `AuthError.invalidChallenge`.
    func consume(_ challenge: Challenge, at now: Timestamp) throws {
        let deleted = try execute(
            "DELETE FROM challenges WHERE token_hash = :hash AND user_id = :user AND expires_at > :now",
            ["hash": try challenge.token.hash, "user": challenge.userID, "now": now])
        guard deleted == 1 else { throw AuthError.invalidChallenge }
    }

    /// What was begun with a password or factors that are no more: sign-ins that wait, and passkeys that are being
    /// registered.
    func dropChallenges(of user: String) throws {
        try execute("DELETE FROM challenges WHERE user_id = :user", ["user": user])
        try execute(
            "DELETE FROM passkey_challenges WHERE session_id IN (SELECT id FROM sessions WHERE user_id = :user)",
            ["user": user])
    }

    func forgetCodes(of user: String) throws {
        try execute(
            "DELETE FROM guesses WHERE subject = :user AND lane IN (:codes, :steps)",
            ["user": user, "codes": GuessLane.secondFactor, "steps": GuessLane.stepUp])
    }

    fileprivate func keepNewestChallenges(of user: String, _ count: Int) throws {
        try execute(
            """
            DELETE FROM challenges WHERE token_hash IN
                (SELECT token_hash FROM challenges WHERE user_id = :user
                 ORDER BY expires_at DESC, token_hash LIMIT 1000 OFFSET :kept)
            """, ["user": user, "kept": count])
    }
}
