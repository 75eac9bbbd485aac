internal import SQL

extension AuthStore {
    /// Deletes an account and all that is kept of it. What happened stays in the audit trail, under a pseudonym that
    /// leads to nobody any more, without addresses and user agents.
    ///
    /// - Throws: `AuthError.userNotFound`.
    func deleteUser(_ user: String, session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations, departures, deletedKeys) { transaction in
            guard let account = try transaction.user(user) else { throw AuthError.userNotFound }
            try transaction.revokeSessions(of: user, except: nil, at: change.at)
            try transaction.notify(.accountDeleted, user: nil, to: EmailAddress(stored: account.email), change)
            try transaction.audit(.userDeleted, user: user, session: session, change)
            // One each, since an OR of both would read the whole trail.
            for column in ["subject", "actor"] {
                try transaction.execute(
                    """
                    UPDATE audit_events SET address = '', network = '', site = '', user_agent = ''
                    WHERE \(column) = (SELECT pseudonym FROM users WHERE id = :user)
                    """, ["user": user])
            }
            try transaction.execute("DELETE FROM users WHERE id = :user", ["user": user])
            try transaction.execute(
                """
                INSERT INTO departures (user_id, created_at, answers, attempts, next_attempt_at)
                VALUES (:user, :now, 0, 0, :now)
                """, ["user": user, "now": change.at])
        }
    }

    /// What is kept of a user, but for secrets and what is computed from them.
    ///
    /// - Throws: `AuthError.noSuchUser`.
    func data(of user: String) async throws -> UserData {
        let account = try await account(user)
        var search = AuditSearch()
        search.userID = user
        search.limit = AuthPolicy.exportedEvents
        return UserData(
            account: account, tier: account.tier, sessions: try await sessions(of: user),
            factors: try await factors(of: user), passkeys: try await passkeys(of: user),
            knownAgents: try await knownAgents(of: user), addressChange: try await waitingAddressChange(of: user),
            events: try await auditEvents(search), search: search)
    }

    private func waitingAddressChange(of user: String) async throws -> WaitingAddressChange? {
        let now = clock.now
        return try await read {
            try $0.first(
                """
                SELECT new_email, approved_at, confirmed_at, expires_at FROM address_changes
                WHERE user_id = :user AND expires_at > :now
                """, ["user": user, "now": now]
            ) {
                WaitingAddressChange(
                    email: try $0.get("new_email"), isApproved: try $0.get("approved_at", as: Timestamp?.self) != nil,
                    isConfirmed: try $0.get("confirmed_at", as: Timestamp?.self) != nil, expiresAt: try $0.get("expires_at"))
            }
        }
    }

    private func knownAgents(of user: String) async throws -> [KnownAgent] {
        try await read {
            try $0.query(
                """
                SELECT agent_hash, sign_ins, last_seen_at FROM known_agents WHERE user_id = :user
                ORDER BY last_seen_at DESC, agent_hash LIMIT :limit
                """, ["user": user, "limit": AuthPolicy.exportedAgents]
            ) {
                KnownAgent(
                    hash: try $0.get("agent_hash"), signIns: try $0.get("sign_ins"), lastSeenAt: try $0.get("last_seen_at"))
            }
        }
    }
}
