internal import LibCrypto
internal import SQL
internal import ServiceKit

/// A new registration, checked and hashed.
struct Registration: Sendable {
    let email: EmailAddress
    let name: PersonName
    let passwordHash: Redacted<String>
}

extension AuthStore {
    /// Makes the account, or finds it: the same statements either way, so the time taken tells nothing.
    func register(_ registration: Registration, _ origin: Origin) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications) { [policy] transaction in
            let isNew = try transaction.insertUser(registration, at: change.at)
            guard let user = try transaction.account(email: registration.email) else { throw AuthError.userNotFound }
            try transaction.makeAuditKey(for: registration.email)
            let event: AuditEvent = isNew ? .registered : .registeredAgain
            let mails = try transaction.mails(for: event, user: user.id, change)
            let attempt = try transaction.insertRegistration(registration, user: user.id, at: change.at)
            let isMailed = policy.allowsMail(after: mails)
            let kind: Notification.Kind = user.emailVerified ? .alreadyRegistered : .verification
            try transaction.notify(isMailed ? kind : .nothing, user: user.id, registration: attempt, change)
            try transaction.audit(event, user: user.id, mailed: isMailed, change)
        }
    }

    /// Sends the confirmation again, where there is something to confirm.
    ///
    /// Whoever asks cannot show which registration is theirs. While there has been one only, its link is sent again;
    /// after a second one the owner gets a link to choose a password with, which confirms the address, too.
    func requestVerification(_ email: EmailAddress, _ origin: Origin) async throws {
        try await requestMail(.verificationRequested, email, origin) { transaction, user in
            let claim = try transaction.onlyRegistration(of: user?.id)
            guard let user, !user.emailVerified else { return Mailing(kind: .nothing) }
            guard let claim else { return Mailing(kind: .passwordReset) }
            return Mailing(kind: .verification, registration: claim)
        }
    }

    func requestPasswordReset(_ email: EmailAddress, _ origin: Origin) async throws {
        try await requestMail(.resetRequested, email, origin) { _, user in
            Mailing(kind: user == nil ? .nothing : .passwordReset)
        }
    }

    /// Confirms an address. The token is used by being deleted, so that of many at once one succeeds.
    func verifyEmail(_ token: OpaqueToken, _ origin: Origin) async throws -> User {
        let hash = try token.hash
        let change = Change(at: clock.now, origin: origin)
        return try await write { transaction -> Result<User, AuthError> in
            guard let link = try transaction.consumeLink(hash, .verification) else {
                return .failure(.invalidLinkToken)
            }
            guard change.at < link.expiresAt else { return .failure(.expiredLinkToken) }
            guard try transaction.confirm(link, at: change.at) else { return .failure(.invalidLinkToken) }
            try transaction.forgetGuesses(of: link.userID)
            try transaction.audit(.emailVerified, user: link.userID, change)
            guard let user = try transaction.user(link.userID) else { return .failure(.userNotFound) }
            return .success(user)
        }.get()
    }

    func user(_ id: String) async throws -> User? {
        try await read { try $0.user(id) }
    }

    func credentials(userID: String) async throws -> Credentials? {
        try await read { try $0.credentials(userID: userID) }
    }

    /// A mail that is to be sent, and the registration that its link is for.
    private struct Mailing: Sendable {
        var kind: Notification.Kind
        var registration: String?
    }

    /// - Parameter choose: runs the same statements for everybody.
    private func requestMail(
        _ event: AuditEvent, _ email: EmailAddress, _ origin: Origin,
        choosing choose: @escaping @Sendable (borrowing Transaction, User?) throws -> Mailing
    ) async throws {
        let change = Change(at: clock.now, origin: origin)
        try await write(raising: notifications) { [policy] transaction in
            let user = try transaction.account(email: email)
            let mails = try transaction.mails(for: event, user: user?.id, change)
            var mailing = try choose(transaction, user)
            if !policy.allowsMail(after: mails) { mailing.kind = .nothing }
            try transaction.notify(mailing.kind, user: user?.id, registration: mailing.registration, change)
            try transaction.audit(event, user: user?.id, mailed: mailing.kind != .nothing, change)
        }
    }
}

private let userColumns = "id, email, name, email_verified_at, created_at"
private let credentialColumns = """
    id, email, name, CASE WHEN \(GoodPassword.condition) THEN password_hash END AS password_hash, email_verified_at, roles,
    disabled_at, \(GoodPassword.hasFactor) AS has_factor
    """

/// Which row of `users` has a password that is good: one that is enough by itself, or has a second factor beside it. Asked
/// wherever a password is used, so that no way of losing the factors leaves a short one as the only proof.
enum GoodPassword {
    static let condition = "(users.password_short_of IS NULL OR \(hasFactor))"

    fileprivate static let hasFactor =
        "EXISTS (SELECT 1 FROM factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)"
}

func decodeUser(_ row: Row) throws -> User {
    User(
        id: try row.get("id"), email: try row.get("email"), name: try row.get("name"),
        emailVerified: try row.get("email_verified_at", as: Timestamp?.self) != nil,
        createdAt: try row.get("created_at"))
}

private func decodeCredentials(_ row: Row) throws -> Credentials {
    Credentials(
        userID: try row.get("id"), passwordHash: try row.get("password_hash", as: String?.self).map { Redacted($0) },
        emailVerified: try row.get("email_verified_at", as: Timestamp?.self) != nil, roles: try row.get("roles"),
        isDisabled: try row.get("disabled_at", as: Timestamp?.self) != nil,
        hasSecondFactor: try row.get("has_factor"),
        words: EmailAddress(stored: try row.get("email")).words
            + (try row.get("name", as: String.self)).split(separator: " ").map(String.init))
}

extension Queries where Self: ~Copyable {
    func user(_ id: String) throws -> User? {
        try first("SELECT \(userColumns) FROM users WHERE id = :id", ["id": id], decodeUser)
    }

    /// What sign-in needs; nil for an unknown address, after the same query.
    func credentials(_ email: EmailAddress) throws -> Credentials? {
        try first(
            "SELECT \(credentialColumns) FROM users WHERE email = :email", ["email": email.text], decodeCredentials)
    }

    func credentials(userID: String) throws -> Credentials? {
        try first("SELECT \(credentialColumns) FROM users WHERE id = :id", ["id": userID], decodeCredentials)
    }

    func account(email: EmailAddress) throws -> User? {
        try first("SELECT \(userColumns) FROM users WHERE email = :email", ["email": email.text], decodeUser)
    }

    /// The registration of an unconfirmed account; nil when there has ever been more than one.
    fileprivate func onlyRegistration(of user: String?) throws -> String? {
        try first(
            """
            SELECT r.id FROM registrations r JOIN users u ON u.id = r.user_id
            WHERE u.id = :user AND u.email_verified_at IS NULL AND u.claims = 1
            """, ["user": user]
        ) { try $0.get("id") }
    }
}

extension Transaction {
    /// A further registration of an unconfirmed address is counted and changes nothing else: which password counts is
    /// decided by the link that is followed.
    ///
    /// - Returns: whether the address was new.
    fileprivate func insertUser(_ registration: Registration, at now: Timestamp) throws -> Bool {
        let id = try Identifier.user.make()
        let row = try first(
            """
            INSERT INTO users (id, pseudonym, email, name, roles, password_hash, claims, created_at, updated_at)
            VALUES (:id, :pseudonym, :email, :name, :roles, :hash, 1, :now, :now)
            ON CONFLICT (email) DO UPDATE SET claims = users.claims + 1, updated_at = excluded.updated_at
                WHERE users.email_verified_at IS NULL
            RETURNING id
            """,
            [
                "id": id, "pseudonym": Identifier.pseudonym.make(), "email": registration.email.text, "name": registration.name.text,
                "roles": AuthPolicy.initialRoles, "hash": registration.passwordHash.exposed, "now": now,
            ])
        return try row?.get("id", as: String.self) == id
    }

    fileprivate func insertRegistration(
        _ registration: Registration, user: String, at now: Timestamp
    ) throws -> String {
        let id = try Identifier.registration.make()
        try execute(
            """
            INSERT INTO registrations (id, user_id, name, password_hash, created_at)
            VALUES (:id, :user, :name, :hash, :now)
            """,
            [
                "id": id, "user": user, "name": registration.name.text,
                "hash": registration.passwordHash.exposed, "now": now,
            ])
        return id
    }

    /// Marks the address as confirmed, with the password and name of the registration that the link belongs to.
    ///
    /// - Returns: false when it is confirmed already: a link that comes late must not change the account.
    fileprivate func confirm(_ link: Link, at now: Timestamp) throws -> Bool {
        let changed = try execute(
            """
            UPDATE users SET email_verified_at = :now, updated_at = :now, name = r.name, password_hash = r.password_hash
            FROM registrations r
            WHERE users.id = :id AND users.email_verified_at IS NULL AND r.id = :registration AND r.user_id = users.id
            """, ["id": link.userID, "registration": link.registrationID, "now": now])
        try dropLinks(user: link.userID, .verification)
        return changed == 1
    }
}
