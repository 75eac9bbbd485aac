internal import SQL
internal import ServiceKit

/// What admins and the operator do to accounts. Every change is audited with who did it.
extension AuthStore {
    /// - Throws: `AuthError.invalidPageToken`.
    func accounts(_ search: AccountSearch) async throws -> [AccountRecord] {
        let now = clock.now
        let idle = policy.idleLimit(now)
        return try await read { connection in
            if !search.after.isEmpty {
                let last = try connection.first("SELECT 1 FROM users WHERE id = :id", ["id": search.after])
                guard last != nil else { throw AuthError.invalidPageToken }
            }
            return try connection.query(
                """
                SELECT \(accountColumns) FROM users u
                WHERE (:after = '' OR u.email > (SELECT email FROM users WHERE id = :after))
                    AND (:query = '' OR u.id = :query OR u.email LIKE :pattern ESCAPE '!'
                        OR lower(u.name) LIKE :pattern ESCAPE '!')
                    AND ' ' || u.roles || ' ' LIKE :role ESCAPE '!' AND (:disabled = 0 OR u.disabled_at IS NOT NULL)
                ORDER BY u.email LIMIT :limit
                """,
                [
                    "after": search.after, "query": search.query, "pattern": search.pattern,
                    "role": search.rolePattern, "disabled": search.isDisabled ? 1 : 0, "limit": search.limit,
                    "now": now, "idle": idle,
                ], decodeAccount)
        }
    }

    /// - Throws: `AuthError.noSuchUser`.
    func account(_ id: String) async throws -> AccountRecord {
        let now = clock.now
        let idle = policy.idleLimit(now)
        return try await read { try $0.account(id, now: now, idle: idle) }
    }

    /// - Throws: `AuthError.unknownRole`, `.noSuchUser`.
    func grantRole(_ role: String, to user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        try Role.check(role)
        return try await change(user, origin) { transaction, change in
            var roles = try transaction.roles(of: user)
            guard !roles.contains(role) else { return }
            roles.append(role)
            try transaction.set(roles: roles, of: user, at: change.at)
            try transaction.audit(.roleGranted, user: user, by: actor, detail: role, change)
        }
    }

    /// Ends the user's sessions, too: their access tokens name the role.
    ///
    /// - Throws: `AuthError.noSuchUser`, `.ownAccount`.
    func revokeRole(_ role: String, of user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        if role == Role.admin, actor.userID == user { throw AuthError.ownAccount }
        if role == Role.everybody { throw AuthError.unknownRole(field: "role", known: Role.grantable.sorted()) }
        return try await change(user, origin) { transaction, change in
            let roles = try transaction.roles(of: user)
            guard roles.contains(role) else { return }
            try transaction.set(roles: roles.filter { $0 != role }, of: user, at: change.at)
            try transaction.revokeSessions(of: user, except: nil, at: change.at)
            try transaction.audit(.roleRevoked, user: user, by: actor, detail: role, change)
        }
    }

    /// Ends the user's sessions and lets them begin none.
    ///
    /// - Throws: `AuthError.noSuchUser`, `.ownAccount`.
    func disable(_ user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        if actor.userID == user { throw AuthError.ownAccount }
        return try await change(user, origin) { transaction, change in
            let changed = try transaction.execute(
                "UPDATE users SET disabled_at = :now, updated_at = :now WHERE id = :id AND disabled_at IS NULL",
                ["id": user, "now": change.at])
            guard changed > 0 else { return }
            try transaction.dropChallenges(of: user)
            try transaction.revokeSessions(of: user, except: nil, at: change.at)
            try transaction.audit(.userDisabled, user: user, by: actor, change)
        }
    }

    /// - Throws: `AuthError.noSuchUser`.
    func enable(_ user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        try await change(user, origin) { transaction, change in
            let changed = try transaction.execute(
                "UPDATE users SET disabled_at = NULL, updated_at = :now WHERE id = :id AND disabled_at IS NOT NULL",
                ["id": user, "now": change.at])
            guard changed > 0 else { return }
            try transaction.audit(.userEnabled, user: user, by: actor, change)
        }
    }

    /// Sessions beyond what the tier allows end at once.
    ///
    /// - Throws: `AuthError.noSuchUser`.
    func set(tier: Tier?, of user: String, by actor: Actor, _ origin: Origin) async throws -> AccountRecord {
        try await change(user, origin) { [policy] transaction, change in
            guard try transaction.tier(of: user) != tier else { return }
            try transaction.execute(
                "UPDATE users SET tier = :tier, updated_at = :now WHERE id = :id",
                ["id": user, "tier": tier?.rawValue ?? "", "now": change.at])
            if let limit = policy.sessionLimit(tier) {
                try transaction.evictSessions(of: user, leaving: limit, idle: policy.idleLimit(change.at), change)
            }
            try transaction.audit(.tierSet, user: user, by: actor, detail: tier?.rawValue ?? "", change)
        }
    }

    /// One change of one account, which may also find nothing to do, and the account after it.
    func change(
        _ user: String, _ origin: Origin, body: @escaping @Sendable (borrowing Transaction, Change) throws -> Void
    ) async throws -> AccountRecord {
        let change = Change(at: clock.now, origin: origin)
        let idle = policy.idleLimit(change.at)
        return try await write(raising: revocations) { transaction in
            try transaction.requireUser(user)
            try body(transaction, change)
            return try transaction.account(user, now: change.at, idle: idle)
        }
    }
}

private let accountColumns = """
    u.id, u.email, u.name, u.email_verified_at, u.created_at, u.roles, u.disabled_at, u.tier,
    EXISTS (SELECT 1 FROM factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_factor,
    (SELECT count(*) FROM passkeys p WHERE p.user_id = u.id) AS passkeys,
    (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND \(LiveSession.condition)) AS live_sessions,
    (SELECT max(s.created_at) FROM sessions s WHERE s.user_id = u.id) AS last_sign_in_at
    """

private func decodeAccount(_ row: Row) throws -> AccountRecord {
    AccountRecord(
        user: try decodeUser(row), roles: try row.get("roles", as: String.self).roleList,
        isDisabled: try row.get("disabled_at", as: Timestamp?.self) != nil,
        hasSecondFactor: try row.get("has_factor"), passkeys: try row.get("passkeys"),
        tier: Tier(rawValue: try row.get("tier")), liveSessions: try row.get("live_sessions"),
        lastSignInAt: try row.get("last_sign_in_at"))
}

extension Queries where Self: ~Copyable {
    fileprivate func account(_ id: String, now: Timestamp, idle: Timestamp) throws -> AccountRecord {
        let account = try first(
            "SELECT \(accountColumns) FROM users u WHERE u.id = :id", ["id": id, "now": now, "idle": idle],
            decodeAccount)
        guard let account else { throw AuthError.noSuchUser }
        return account
    }

    func tier(of user: String) throws -> Tier? {
        Tier(rawValue: try one("SELECT tier FROM users WHERE id = :id", ["id": user]).get("tier"))
    }

    fileprivate func roles(of user: String) throws -> [String] {
        try one("SELECT roles FROM users WHERE id = :id", ["id": user]).get("roles", as: String.self).roleList
    }
}

extension Transaction {
    fileprivate func set(roles: [String], of user: String, at now: Timestamp) throws {
        try execute(
            "UPDATE users SET roles = :roles, updated_at = :now WHERE id = :id",
            ["id": user, "roles": roles.joined(separator: " "), "now": now])
    }
}
