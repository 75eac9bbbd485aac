internal import SQL
internal import ServiceKit

extension AuthStore {
    /// Sets a new password over the one that was checked, and ends the user's other sessions.
    ///
    /// - Throws: `AuthError.wrongCurrentPassword` when another change came first; `.weakPassword` when the new one counts
    ///   only beside a second factor, and the last was removed meanwhile.
    func changePassword(
        of user: String, from old: Redacted<String>, to new: NewPassword, keeping session: String,
        _ origin: Origin
    ) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction in
            let changed = try transaction.execute(
                """
                UPDATE users SET password_hash = :new, password_short_of = :short, updated_at = :now
                WHERE id = :id AND password_hash = :old AND \(GoodPassword.condition)
                """,
                ["id": user, "old": old.exposed, "new": new.hash.exposed, "short": new.shortOf, "now": change.at])
            guard changed == 1 else { throw AuthError.wrongCurrentPassword }
            try transaction.requireGood(new, of: user)
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
    ///
    /// - Parameter removingPasskeys: Whether those go, too. Otherwise they sign in as before, as in Keycloak and Kratos.
    /// - Throws: `AuthError.invalidLinkToken`, `.expiredLinkToken`; `.weakPassword` as `changePassword`, and the link is still
    ///   good.
    func resetPassword(
        _ token: OpaqueToken, to new: NewPassword, removingPasskeys: Bool = false, _ origin: Origin
    ) async throws {
        let hash = try token.hash
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications, revocations) { transaction -> Result<Void, AuthError> in
            guard let link = try transaction.consumeLink(hash, .passwordReset) else {
                return .failure(.invalidLinkToken)
            }
            guard change.at < link.expiresAt else { return .failure(.expiredLinkToken) }
            try transaction.execute(
                """
                UPDATE users SET password_hash = :new, password_short_of = :short, updated_at = :now,
                    -- Until now anybody could have chosen it.
                    name = CASE WHEN email_verified_at IS NULL THEN '' ELSE name END,
                    email_verified_at = coalesce(email_verified_at, :now) WHERE id = :id
                """, ["id": link.userID, "new": new.hash.exposed, "short": new.shortOf, "now": change.at])
            try transaction.requireGood(new, of: link.userID)
            try transaction.forgetGuesses(of: link.userID)
            try transaction.dropLinks(user: link.userID, .passwordReset)
            try transaction.dropLinks(user: link.userID, .verification)
            try transaction.dropChallenges(of: link.userID)
            try transaction.dropAddressChange(of: link.userID)
            try transaction.revokeSessions(of: link.userID, except: nil, at: change.at)
            try transaction.notify(.passwordChanged, user: link.userID, change)
            try transaction.audit(.passwordReset, user: link.userID, change)
            if removingPasskeys { try transaction.removePasskeys(of: link.userID, change) }
            return .success(())
        }.get()
    }
}

extension Queries where Self: ~Copyable {
    /// The characters of a password that is enough by itself, where the user's has fewer; nil where it is enough.
    func passwordIsShortOf(_ user: String) throws -> Int? {
        try first("SELECT password_short_of FROM users WHERE id = :id", ["id": user]) {
            try $0.get("password_short_of", as: Int?.self)
        } ?? nil
    }
}

extension Transaction {
    /// Looks again, inside the transaction: the factor that a short password needs may have been removed since it was
    /// looked at.
    ///
    /// - Throws: `AuthError.weakPassword`, as if there had been none.
    fileprivate func requireGood(_ new: NewPassword, of user: String) throws {
        guard let minimum = new.shortOf, try !hasSecondFactor(user) else { return }
        throw AuthError.weakPassword(field: "new_password", reasons: ["Use at least \(minimum) characters."])
    }
}
