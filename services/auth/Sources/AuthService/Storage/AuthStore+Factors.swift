internal import SQL
internal import ServiceKit

/// Enrolled factors and recovery codes.
extension AuthStore {
    /// A user's factors, confirmed or not, oldest first.
    func factors(of user: String) async throws -> [Factor] {
        try await read { try $0.factors(of: user) }
    }

    /// Adds a factor that waits for its first code, in place of others that wait. While none is confirmed there is no code
    /// that a count could keep somebody from guessing: then it begins anew, and who has only a session closes nothing.
    ///
    /// - Throws: `AuthError.tooManyFactors`.
    func addFactor(_ factor: Factor, user: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write { transaction in
            try transaction.execute(
                "DELETE FROM factors WHERE user_id = :user AND confirmed_at IS NULL", ["user": user])
            guard try transaction.factors(of: user).count < AuthPolicy.factorsPerUser else { throw AuthError.tooManyFactors }
            if try !transaction.hasSecondFactor(user) { try transaction.forgetCodes(of: user) }
            try transaction.execute(
                """
                INSERT INTO factors (id, user_id, name, sealed_secret, created_at, last_step)
                VALUES (:id, :user, :name, :secret, :now, 0)
                """,
                [
                    "id": factor.id, "user": user, "name": factor.name, "secret": factor.sealedSecret, "now": change.at,
                ])
        }
    }

    /// Makes a factor count, ends the user's other sessions, and stores recovery codes if there are none yet.
    ///
    /// - Returns: whether the codes were stored.
    /// - Throws: `AuthError.wrongSecondFactor` when somebody else confirmed it first, or it has lapsed meanwhile; `.sessionEnded`
    ///   and `.stepUpRequired` for what has changed since the call came.
    func confirmFactor(
        _ id: String, step: Int64, codes: [[UInt8]], of user: String, keeping session: String, _ origin: Origin
    ) async throws -> Bool {
        let change = Change(at: clock.now, origin: origin)
        let (idle, shown) = (policy.idleLimit(change.at), change.at - policy.stepUpAge)
        return try await write(raising: notifications, revocations) { transaction in
            try transaction.requireLive(session, of: user, at: change.at, idle: idle)
            if try transaction.hasAuthenticator(user) {
                let isShown = try transaction.first(
                    "SELECT 1 FROM sessions WHERE id = :id AND factor_at > :limit", ["id": session, "limit": shown]) != nil
                guard isShown else { throw AuthError.stepUpRequired(try transaction.stepUpWays(of: user)) }
            }
            let changed = try transaction.execute(
                """
                UPDATE factors SET confirmed_at = :now, last_used_at = :now, last_step = :step
                WHERE id = :id AND user_id = :user AND confirmed_at IS NULL AND created_at > :lapsed
                """,
                [
                    "id": id, "user": user, "step": step, "now": change.at,
                    "lapsed": change.at - AuthPolicy.enrolmentLifetime,
                ])
            guard changed == 1 else { throw AuthError.wrongSecondFactor }
            try transaction.forgetCodes(of: user)
            try transaction.markSecondFactor(session: session, of: user, .oneTimePassword, at: change.at)
            try transaction.dropChallenges(of: user)
            try transaction.revokeSessions(of: user, except: session, at: change.at)
            try transaction.notify(.secondFactorChanged, user: user, change)
            try transaction.audit(.factorAdded, user: user, session: session, change)
            guard try transaction.recoveryCodes(of: user) == 0 else { return false }
            try transaction.insertRecoveryCodes(codes, user: user, at: change.at)
            return true
        }
    }

    /// Removes a factor; with the last one the recovery codes go, too.
    ///
    /// - Throws: `AuthError.factorNotFound`; `.passwordNeedsFactor` for the last one beside a password that is not enough by
    ///   itself (NIST SP 800-63B-4, 3.1.1.2).
    func deleteFactor(_ id: String, of user: String, keeping session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction in
            let row = try transaction.first(
                "DELETE FROM factors WHERE id = :id AND user_id = :user RETURNING confirmed_at", ["id": id, "user": user])
            guard let row else { throw AuthError.factorNotFound }
            // One that never counted is nobody's news.
            guard try row.get("confirmed_at", as: Timestamp?.self) != nil else { return }
            if try !transaction.hasSecondFactor(user) {
                if let minimum = try transaction.passwordIsShortOf(user) { throw AuthError.passwordNeedsFactor(minimum: minimum) }
                try transaction.dropRecoveryCodes(of: user)
            }
            try transaction.revokeSessions(of: user, except: session, at: change.at)
            try transaction.notify(.secondFactorChanged, user: user, change)
            try transaction.audit(.factorRemoved, user: user, session: session, change)
        }
    }

    /// Stores new recovery codes in place of the old ones, and ends the user's other sessions.
    ///
    /// - Throws: `AuthError.factorNotFound` for a user without a second factor.
    func replaceRecoveryCodes(_ codes: [[UInt8]], of user: String, session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction in
            guard try transaction.hasSecondFactor(user) else { throw AuthError.factorNotFound }
            try transaction.dropRecoveryCodes(of: user)
            try transaction.insertRecoveryCodes(codes, user: user, at: change.at)
            try transaction.revokeSessions(of: user, except: session, at: change.at)
            try transaction.notify(.secondFactorChanged, user: user, change)
            try transaction.audit(.recoveryCodesMade, user: user, session: session, change)
        }
    }

    /// Removes all factors and passkeys of somebody who has lost them, and ends their sessions. Passkeys, too: one that
    /// somebody else registered would outlive whatever its owner does. A password that is not enough by itself is no good from
    /// then on, see `GoodPassword`; its owner is told to choose another by mail.
    ///
    /// - Throws: `AuthError.noSuchUser`.
    func resetFactors(of user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        let account = try await change(user, origin) { transaction, change in
            try transaction.forgetCodes(of: user)
            guard try transaction.hasAuthenticator(user) else { return }
            try transaction.execute("DELETE FROM factors WHERE user_id = :user", ["user": user])
            try transaction.execute("DELETE FROM passkeys WHERE user_id = :user", ["user": user])
            try transaction.dropRecoveryCodes(of: user)
            try transaction.dropChallenges(of: user)
            try transaction.revokeSessions(of: user, except: nil, at: change.at)
            try transaction.notify(.secondFactorChanged, user: user, change)
            try transaction.audit(.factorsReset, user: user, by: actor, change)
            guard try transaction.passwordIsShortOf(user) != nil else { return }
            try transaction.notify(.passwordNeeded, user: user, change)
            try transaction.audit(.passwordRevoked, user: user, by: actor, change)
        }
        notifications.raise()
        return account
    }

    func hasRecoveryCode(_ hash: [UInt8], user: String) async throws -> Bool {
        try await read {
            try $0.first(
                "SELECT 1 FROM recovery_codes WHERE code_hash = :hash AND user_id = :user", ["hash": hash, "user": user])
                != nil
        }
    }

    func recoveryCodesLeft(_ user: String) async throws -> Int {
        try await read { try $0.recoveryCodes(of: user) }
    }
}

private func decodeFactor(_ row: Row) throws -> Factor {
    Factor(
        id: try row.get("id"), name: try row.get("name"), sealedSecret: try row.get("sealed_secret"),
        createdAt: try row.get("created_at"), confirmedAt: try row.get("confirmed_at"),
        lastUsedAt: try row.get("last_used_at"), lastStep: try row.get("last_step"))
}

extension Queries where Self: ~Copyable {
    fileprivate func factors(of user: String) throws -> [Factor] {
        try query(
            """
            SELECT id, name, sealed_secret, created_at, confirmed_at, last_used_at, last_step FROM factors
            WHERE user_id = :user ORDER BY created_at, id
            """, ["user": user], decodeFactor)
    }

    func hasSecondFactor(_ user: String) throws -> Bool {
        try first("SELECT 1 FROM factors WHERE user_id = :user AND confirmed_at IS NOT NULL LIMIT 1", ["user": user]) != nil
    }

    /// A second factor, or a passkey: what is above the password alone.
    func hasAuthenticator(_ user: String) throws -> Bool {
        if try hasSecondFactor(user) { return true }
        return try first("SELECT 1 FROM passkeys WHERE user_id = :user LIMIT 1", ["user": user]) != nil
    }

    fileprivate func recoveryCodes(of user: String) throws -> Int {
        try one("SELECT count(*) AS n FROM recovery_codes WHERE user_id = :user", ["user": user]).get("n")
    }
}

extension Transaction {
    fileprivate func insertRecoveryCodes(_ codes: [[UInt8]], user: String, at now: Timestamp) throws {
        for hash in codes {
            try execute(
                "INSERT INTO recovery_codes (code_hash, user_id, created_at) VALUES (:hash, :user, :now)",
                ["hash": hash, "user": user, "now": now])
        }
    }

    fileprivate func dropRecoveryCodes(of user: String) throws {
        try execute("DELETE FROM recovery_codes WHERE user_id = :user", ["user": user])
    }
}
