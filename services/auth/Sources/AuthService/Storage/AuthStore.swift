package import SQL
internal import ServiceStorage

/// Auth's database. Every method is one transaction: the change, its audit row, its notification and its revocations
/// are durable together or not at all.
package struct AuthStore: Sendable {
    let database: StoreDatabase
    let policy: AuthPolicy
    let clock: any AuthClock
    /// Raised when a notification has been written: the relay waits for it.
    let notifications = Signal()
    /// Raised when an account was deleted: the relay to Token waits for it.
    let departures = Signal()
    /// Raised when a user's key was deleted: Maintenance sees to it that it is gone.
    let deletedKeys = Signal()
    /// Raised when a session may have been revoked: gateways wait for it.
    let revocations = Signal()

    package init(database: Database, policy: AuthPolicy, clock: any AuthClock) {
        self.database = StoreDatabase(database)
        self.policy = policy
        self.clock = clock
    }

    /// Brings the schema up to date.
    package func prepare() async throws {
        try await database.migrate(AuthMigrations.all)
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (borrowing Connection) throws -> T) async throws -> T {
        try await database.read(body)
    }

    /// - Parameter signals: raised after the commit.
    func write<T: Sendable>(
        raising signals: Signal..., isolation: Isolation = .serializable,
        body: @escaping @Sendable (borrowing Transaction) throws -> T
    ) async throws -> T {
        let result = try await database.write(isolation: isolation, body)
        for signal in signals { signal.raise() }
        return result
    }
}

/// What every change is recorded with: when, from where, by which request.
struct Change: Sendable {
    let at: Timestamp
    let origin: Origin
}

/// By which name the audit trail knows somebody.
enum AuditSubject {
    /// With `:user` and `:client`.
    static let expression = "coalesce((SELECT pseudonym FROM users WHERE id = :user), CAST(:client AS TEXT))"

    /// Machine clients are nobody, so their own id is no secret of anybody's.
    static func client(_ id: String?) -> String? { id.flatMap { Identifier.client.names($0) ? $0 : nil } }
}

extension Transaction {
    /// - Parameters:
    ///   - user: whom it is about; the row has their pseudonym, or the id of a machine client.
    ///   - actor: who did it, where that is somebody else.
    ///   - detail: what the event's word does not say; nothing personal.
    ///   - mailed: whether a mail goes out that anybody can ask for.
    func audit(
        _ event: AuditEvent, user: String?, session: String? = nil, by actor: Actor? = nil, detail: String = "",
        mailed: Bool = false, _ change: Change
    ) throws {
        let id = try Identifier.auditEvent.make()
        // Whose request it was: a user's own, or an admin's about them.
        let key = try auditKey(of: actor?.userID ?? user)
        let sealed = try (key ?? Self.nobody).seal(change.origin, event: id)
        try execute(
            """
            INSERT INTO audit_events
                (id, at, event, subject, actor, detail, session_id, request_id, address, network, site, user_agent,
                mailed, sealed_for, sealed)
            VALUES (:id, :at, :event, \(AuditSubject.expression),
                coalesce((SELECT pseudonym FROM users WHERE id = :actor), :actor_word), :detail, :session, :request,
                :address, :network, :site, :agent, :mailed, :key, :sealed)
            """,
            [
                "id": id, "at": change.at, "event": event, "user": user,
                "client": AuditSubject.client(user), "session": session,
                "actor": actor?.userID, "actor_word": actor?.word, "detail": detail,
                "request": change.origin.requestID, "address": key == nil ? change.origin.address : "",
                "network": key?.mark(change.origin.network) ?? change.origin.network,
                "site": key?.mark(change.origin.site) ?? change.origin.site,
                "agent": key == nil ? change.origin.userAgent : "", "mailed": mailed ? 1 : 0,
                "key": key?.pseudonym, "sealed": key == nil ? nil : sealed,
            ])
    }

    /// The key of a user's personal fields, made when it is first asked for; nil for nobody and for machine clients.
    private func auditKey(of user: String?) throws -> AuditKey? {
        let row = try first(
            """
            SELECT u.pseudonym, k.key FROM users u LEFT JOIN audit_keys k ON k.pseudonym = u.pseudonym WHERE u.id = :user
            """, ["user": user])
        guard let row else { return nil }
        let pseudonym: String = try row.get("pseudonym")
        if let bytes = try row.get("key", as: [UInt8]?.self) { return AuditKey(pseudonym: pseudonym, bytes: bytes) }
        // Imported, or from before there were keys.
        let bytes = try AuditKey.makeBytes()
        try execute(
            "INSERT INTO audit_keys (pseudonym, key) VALUES (:pseudonym, :key)", ["pseudonym": pseudonym, "key": bytes])
        return AuditKey(pseudonym: pseudonym, bytes: bytes)
    }

    /// Makes the key of an address that registers, unless its account has one: the same statement either way.
    func makeAuditKey(for email: EmailAddress) throws {
        try execute(
            """
            INSERT INTO audit_keys (pseudonym, key) SELECT pseudonym, :key FROM users WHERE email = :email
            ON CONFLICT (pseudonym) DO NOTHING
            """, ["key": AuditKey.makeBytes(), "email": email.text])
    }

    /// So that rows of nobody cost what others do.
    private static var nobody: AuditKey { AuditKey(pseudonym: "", bytes: [UInt8](repeating: 0, count: 32)) }

    /// - Parameters:
    ///   - recipient: where the mail goes, when that is not the account's address.
    ///   - addressChange: the change of address that its link is for.
    func notify(
        _ kind: Notification.Kind, user: String?, registration: String? = nil, to recipient: EmailAddress? = nil,
        change addressChange: String? = nil, _ change: Change
    ) throws {
        try execute(
            """
            INSERT INTO notifications
                (id, user_id, kind, registration_id, recipient, change_id, address, user_agent, created_at, attempts,
                next_attempt_at)
            VALUES (:id, :user, :kind, :registration, :recipient, :change, :address, :agent, :at, 0, :at)
            """,
            [
                "id": Identifier.notification.make(), "user": user, "kind": kind, "registration": registration,
                "recipient": recipient?.text, "change": addressChange,
                "address": change.origin.address, "agent": change.origin.userAgent, "at": change.at,
            ])
    }

    /// The mails that an event brought a user lately; none for nobody, after the same queries.
    func mails(for event: AuditEvent, user: String?, _ change: Change) throws -> MailCount {
        let key = try auditKey(of: user)
        let row = try one(
            """
            SELECT count(*) AS n, count(CASE WHEN network = :network THEN 1 END) AS own,
                count(CASE WHEN site = :site THEN 1 END) AS site
            FROM audit_events
            WHERE subject = (SELECT pseudonym FROM users WHERE id = :user) AND event = :event AND at > :since AND mailed = 1
            """,
            [
                "user": user, "event": event, "since": change.at - AuthPolicy.mailWindow,
                "network": key?.mark(change.origin.network) ?? change.origin.network,
                "site": key?.mark(change.origin.site) ?? change.origin.site,
            ])
        return MailCount(
            all: try row.get("n"), site: try row.get("site"), own: try row.get("own"),
            isFamiliar: try knows(change.origin.network, of: user))
    }
}
