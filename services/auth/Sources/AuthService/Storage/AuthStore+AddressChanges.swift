internal import SQL

/// A change of address, which both addresses confirm: the present one so that a thief of the session cannot take the
/// account away, the new one so that it is the user's.
extension AuthStore {
    /// Begins a change, in place of one that waits. Whether the new address is somebody's is told to nobody: its owner
    /// gets another mail, and the change waits for ever.
    ///
    /// - Throws: `AuthError.tooManyChanges`, `.userNotFound`.
    func requestAddressChange(_ email: EmailAddress, of user: String, session: String, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications) { [policy] transaction in
            let requested: Int = try transaction.one(
                """
                SELECT count(*) AS n FROM audit_events
                WHERE subject = (SELECT pseudonym FROM users WHERE id = :user) AND event = :event AND at > :since
                """,
                [
                    "user": user, "event": AuditEvent.addressChangeRequested,
                    "since": change.at - AuthPolicy.addressChangeWindow,
                ]
            ).get("n")
            guard requested < AuthPolicy.addressChangesAtMost else { throw AuthError.tooManyChanges }
            let other = try transaction.account(email: email)
            try transaction.dropAddressChange(of: user)
            let id = try Identifier.addressChange.make()
            try transaction.execute(
                """
                INSERT INTO address_changes (id, user_id, new_email, expires_at)
                VALUES (:id, :user, :email, :expires)
                """,
                ["id": id, "user": user, "email": email.text, "expires": change.at + policy.verificationLifetime])
            if let other, other.emailVerified {
                try transaction.notify(.alreadyRegistered, user: other.id, change)
            } else {
                try transaction.notify(.addressChange, user: user, to: email, change: id, change)
            }
            try transaction.notify(.addressChangeApproval, user: user, change: id, change)
            try transaction.audit(.addressChangeRequested, user: user, session: session, change)
        }
    }

    /// Takes the word of one of the two addresses; with the second the account has the new one.
    ///
    /// - Throws: `AuthError.invalidLinkToken`, `.expiredLinkToken`.
    func confirmAddress(_ token: OpaqueToken, _ origin: Origin) async throws -> AddressChangeProgress {
        let hash = try token.hash
        guard let purpose = LinkPurpose(token.purpose) else { throw AuthError.invalidLinkToken }
        let change = Change(at: clock.now, origin: origin)
        return try await write(raising: notifications) { transaction -> Result<AddressChangeProgress, AuthError> in
            guard let link = try transaction.consumeLink(hash, purpose), let id = link.changeID else {
                return .failure(.invalidLinkToken)
            }
            guard change.at < link.expiresAt else { return .failure(.expiredLinkToken) }
            let column = purpose == .addressChange ? "confirmed_at" : "approved_at"
            let row = try transaction.first(
                """
                UPDATE address_changes SET \(column) = coalesce(\(column), :now) WHERE id = :id AND expires_at > :now
                RETURNING new_email, approved_at, confirmed_at
                """, ["id": id, "now": change.at])
            guard let row else { return .failure(.expiredLinkToken) }
            guard try row.get("approved_at", as: Timestamp?.self) != nil,
                try row.get("confirmed_at", as: Timestamp?.self) != nil
            else { return .success(.waiting) }
            let email = EmailAddress(stored: try row.get("new_email"))
            guard try transaction.move(link.userID, to: email, change) else { return .failure(.invalidLinkToken) }
            return .success(.changed)
        }.get()
    }
}

extension Transaction {
    /// - Returns: false when somebody has the address by now.
    fileprivate func move(_ user: String, to email: EmailAddress, _ change: Change) throws -> Bool {
        guard let present = try self.user(user) else { return false }
        try dropAddressChange(of: user)
        if let other = try account(email: email), other.id != user {
            guard !other.emailVerified else { return false }
            // Whoever registered the address and never confirmed it did not own it.
            try forget(other.id)
        }
        try execute(
            "UPDATE users SET email = :email, updated_at = :now WHERE id = :id",
            ["id": user, "email": email.text, "now": change.at])
        // They were sent to the address that is no longer the user's.
        try dropLinks(user: user, .passwordReset)
        try notify(.addressChanged, user: user, to: EmailAddress(stored: present.email), change)
        try audit(.addressChanged, user: user, change)
        return true
    }

    /// Its links and mails go with it.
    func dropAddressChange(of user: String) throws {
        try execute("DELETE FROM address_changes WHERE user_id = :user", ["user": user])
    }

    /// An account that was never anybody's, and all that was recorded of it.
    private func forget(_ user: String) throws {
        try execute(
            "DELETE FROM audit_events WHERE subject = (SELECT pseudonym FROM users WHERE id = :id)", ["id": user])
        try execute("DELETE FROM users WHERE id = :id", ["id": user])
    }
}
