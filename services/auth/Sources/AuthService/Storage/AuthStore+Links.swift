internal import SQL

/// The row of a link's token.
struct Link: Sendable {
    let userID: String
    let registrationID: String?
    let changeID: String?
    let expiresAt: Timestamp
}

private func decodeLink(_ row: Row) throws -> Link {
    Link(
        userID: try row.get("user_id"), registrationID: try row.get("registration_id"),
        changeID: try row.get("change_id"),
        expiresAt: try row.get("expires_at"))
}

extension AuthStore {
    /// Whose link it is, without using it; so that a refused new password does not cost the link.
    func passwordResetCredentials(_ token: OpaqueToken) async throws -> Credentials {
        let hash = try token.hash
        let now = clock.now
        let link = try await read { connection in
            try connection.first(
                """
                SELECT user_id, registration_id, change_id, expires_at FROM link_tokens
                WHERE token_hash = :hash AND purpose = :purpose
                """, ["hash": hash, "purpose": LinkPurpose.passwordReset], decodeLink)
        }
        guard let link else { throw AuthError.invalidLinkToken }
        guard now < link.expiresAt else { throw AuthError.expiredLinkToken }
        guard let credentials = try await credentials(userID: link.userID) else { throw AuthError.invalidLinkToken }
        return credentials
    }
}

/// A token's purpose as it is stored.
enum LinkPurpose: String, SQLValue {
    case verification
    case passwordReset = "password_reset"
    case addressChange = "address_change"
    case addressApproval = "address_change_approval"

    init?(_ purpose: OpaqueToken.Purpose) {
        switch purpose {
        case .verification: self = .verification
        case .passwordReset: self = .passwordReset
        case .addressChange: self = .addressChange
        case .addressApproval: self = .addressApproval
        case .refresh, .challenge, .clientSecret: return nil
        }
    }
}

extension Transaction {
    /// Deletes the token and returns what it stood for: of many at once, one gets it.
    func consumeLink(_ hash: [UInt8], _ purpose: LinkPurpose) throws -> Link? {
        try first(
            """
            DELETE FROM link_tokens WHERE token_hash = :hash AND purpose = :purpose
            RETURNING user_id, registration_id, change_id, expires_at
            """, ["hash": hash, "purpose": purpose], decodeLink)
    }

    func dropLinks(user: String, _ purpose: LinkPurpose) throws {
        try execute(
            "DELETE FROM link_tokens WHERE user_id = :user AND purpose = :purpose", ["user": user, "purpose": purpose])
    }

    /// Stores a new token. Those of earlier mails stay good for their time: anybody can ask for a mail, and must not end
    /// the link that the owner holds. Using one ends them all; of very many the oldest go.
    func insertLink(
        _ hash: [UInt8], _ purpose: LinkPurpose, for notification: Notification, expiresAt: Timestamp
    ) throws {
        try execute(
            """
            DELETE FROM link_tokens WHERE token_hash IN
                (SELECT token_hash FROM link_tokens
                 WHERE user_id = :user AND purpose = :purpose AND registration_id IS NOT DISTINCT FROM :registration
                 ORDER BY expires_at DESC, token_hash LIMIT 1000 OFFSET :kept)
            """,
            [
                "user": notification.userID, "purpose": purpose, "registration": notification.registrationID,
                "kept": AuthPolicy.linksAtOnce - 1,
            ])
        try execute(
            """
            INSERT INTO link_tokens
                (token_hash, user_id, purpose, notification_id, registration_id, change_id, expires_at)
            VALUES (:hash, :user, :purpose, :notification, :registration, :change, :expires)
            """,
            [
                "hash": hash, "user": notification.userID, "purpose": purpose, "notification": notification.id,
                "registration": notification.registrationID, "change": notification.changeID, "expires": expiresAt,
            ])
    }
}
