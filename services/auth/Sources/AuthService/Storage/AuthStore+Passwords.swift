internal import SQL
internal import ServiceKit

extension AuthStore {
    /// Sets a new password over the one that was checked, and ends the user's other sessions.
    ///
    /// - Throws: `AuthError.wrongCurrentPassword` when another change came first.
    func changePassword(
        of user: String, from old: Redacted<String>, to new: Redacted<String>, keeping session: String,
        _ origin: Origin
    ) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction in
            let changed = try transaction.execute(
                "UPDATE users SET password_hash = :new, updated_at = :now WHERE id = :id AND password_hash = :old",
                ["id": user, "old": old.exposed, "new": new.exposed, "now": change.at])
            guard changed == 1 else { throw AuthError.wrongCurrentPassword }
            try transaction.forgetGuesses(of: user)
            try transaction.dropLinks(user: user, .passwordReset)
            try transaction.dropChallenges(of: user)
            try transaction.dropAddressChange(of: user)
            try transaction.revokeSessions(of: user, except: session, at: change.at)
            try transaction.notify(.passwordChanged, user: user, change)
            try transaction.audit(.passwordChanged, user: user, session: session, change)
        }
    }

    /// Sets a new password with a link's token, and ends all sessions. Whoever reads the address's mail has confirmed
    /// it, too.
    func resetPassword(_ token: OpaqueToken, to new: Redacted<String>, _ origin: Origin) async throws {
        let hash = try token.hash
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction -> Result<Void, AuthError> in
            guard let link = try transaction.consumeLink(hash, .passwordReset) else {
                return .failure(.invalidLinkToken)
            }
            guard change.at < link.expiresAt else { return .failure(.expiredLinkToken) }
            try transaction.execute(
                """
                UPDATE users SET password_hash = :new, updated_at = :now,
                    -- Until now anybody could have chosen it.
                    name = CASE WHEN email_verified_at IS NULL THEN '' ELSE name END,
                    email_verified_at = coalesce(email_verified_at, :now) WHERE id = :id
                """, ["id": link.userID, "new": new.exposed, "now": change.at])
            try transaction.forgetGuesses(of: link.userID)
            try transaction.dropLinks(user: link.userID, .passwordReset)
            try transaction.dropLinks(user: link.userID, .verification)
            try transaction.dropChallenges(of: link.userID)
            try transaction.dropAddressChange(of: link.userID)
            try transaction.revokeSessions(of: link.userID, except: nil, at: change.at)
            try transaction.notify(.passwordChanged, user: link.userID, change)
            try transaction.audit(.passwordReset, user: link.userID, change)
            return .success(())
        }.get()
    }
}
