import Foundation
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import AuthService
@testable import lockstep

/// What was in use moves from SQLite to PostgreSQL as a whole, and goes on there.
@Suite struct DatabaseCopyTests {
    private static let origin = Origin(address: "192.0.2.7", userAgent: "agent", requestID: "r")
    private static let hash = "$2b$12$abcdefghijklmnopqrstuuN5EBuDcnBYyIGLjA2QuJT7cqG8zN9Ci"

    private func store(_ url: String) async throws -> (AuthStore, Database) {
        let database = try await Database.open(url: url)
        return (AuthStore(database: database, policy: AuthPolicy(), clock: SystemClock(SystemWallClock())), database)
    }

    /// Registers, confirms and signs in, as a service does it.
    ///
    /// - Returns: the id of the session.
    private func use(_ store: AuthStore, _ database: Database, as address: String) async throws -> String {
        let email = try EmailAddress(address)
        try await store.register(Registration(email: email, name: PersonName("Ada"), passwordHash: Redacted(Self.hash)), Self.origin)
        // Confirmed as its link would do it; the link's token is in a mail that nobody sends here.
        try await database.write { transaction in
            _ = try transaction.execute("UPDATE users SET email_verified_at = 1 WHERE email = :email", ["email": address])
        }
        let user = try #require(try await database.read { try $0.account(email: email) })
        let session = NewSession(
            id: try Identifier.session.make(), refreshToken: try OpaqueToken(.refresh), userID: user.id, roles: "user",
            proof: .password(Redacted(Self.hash), rehash: nil), authenticatedAt: store.clock.now)
        try await store.startSession(session, Self.origin)
        return session.id
    }

    private func seal(_ store: AuthStore) async throws {
        while try await store.sealAuditTrail(as: "one", lease: .zero) > 0 {}
    }

    @Test(arguments: [false, true])
    func anAuthDatabaseThatWasUsedIsCopiedAndItsAuditTrailGoesOn(isAllSealed: Bool) async throws {
        let directory = try TemporaryDirectory()
        let source = "sqlite:\(directory.path("auth.sqlite"))"
        let target = try await PostgresServer.shared.freshURL()
        let (old, from) = try await store(source)
        try await old.prepare()
        _ = try await use(old, from, as: "ada@example.com")
        try await seal(old)
        let session = try await use(old, from, as: "grace@example.com")
        if isAllSealed { try await seal(old) }
        let before = try await old.verifyAuditTrail()
        #expect(before.isWhole && before.waiting == (isAllSealed ? 0 : 2))
        await from.close()

        let tallies = try await DatabaseCopy(service: .auth) { _ in }.run(from: source, to: target)
        let rows = Dictionary(uniqueKeysWithValues: tallies.map { ($0.table, $0.rows) })
        #expect(rows["audit_events"] == 4 && rows["audit_queue"] == before.waiting && rows["audit_chain"] == before.entries)

        let (new, to) = try await store(target)
        let after = try await new.verifyAuditTrail(holding: before.head)
        #expect(after.isWhole && after.waiting == before.waiting && after.entries == before.entries, "\(after.problems)")
        #expect(try await new.isLive(session: session))
        // The triggers are on again: what happens from now on waits for the sealer, and nobody changes what was.
        _ = try await use(new, to, as: "edsger@example.com")
        #expect(try await new.verifyAuditTrail().waiting == before.waiting + 2)
        try await seal(new)
        let grown = try await new.verifyAuditTrail(holding: before.head)
        #expect(grown.isWhole && grown.entries == 6 && grown.waiting == 0, "\(grown.problems)")
        await #expect(throws: SQLError.self) { try await to.write { _ = try $0.execute("DELETE FROM audit_events") } }
        await to.close()
        // A second copy gives the first one's rows, and their seals, way.
        let again = try await DatabaseCopy(service: .auth, isReplacing: true) { _ in }.run(from: source, to: target)
        #expect(again == tallies)
    }

    /// A row in each table, with every kind of value that there is.
    private static let rows: [String: [String]] = [
        "token": [
            """
            INSERT INTO connections (id, user_id, provider, state, scope, access_token, refresh_token, expires_at, created_at, updated_at)
            VALUES ('con_1', 'usr_1', 'acme', 'active', 'räd', x'00ff07', x'', 9007199254740993, 1, 2)
            """,
            """
            INSERT INTO authorizations (state_hash, connection_id, user_id, provider, verifier, expires_at, browser_hash)
            VALUES ('h', 'con_1', 'usr_1', 'acme', x'01', 3, 'b')
            """,
            """
            INSERT INTO revocations (id, connection_id, provider, access_token, created_at, due_at, lease_owner, lease_until)
            VALUES ('rev_1', 'con_0', 'acme', x'0a', 4, 5, 'one', 6)
            """,
            """
            INSERT INTO audit_events (id, at, event, user_id, connection_id, provider, request_id)
            VALUES ('aud_1', 7, 'token_read', 'usr_1', 'con_1', NULL, 'r')
            """,
        ],
        "email": [
            """
            INSERT INTO messages (id, caller, idempotency_key, template, digest, payload, state, request_id, created_at, due_at)
            VALUES ('msg_1', 'auth', 'k', 't', x'0102', x'ff00', 'queued', 'r', 1, 2)
            """,
            """
            INSERT INTO messages (id, caller, idempotency_key, template, digest, state, request_id, created_at, due_at, last_failure,
                finished_at)
            VALUES ('msg_2', 'auth', 'l', 't', x'03', 'failed', 'r', 1, 2, 'refused', 3)
            """,
        ],
    ]

    @Test(arguments: ["token", "email"])
    func aServiceIsCopiedWithARowInEachTable(name: String) async throws {
        let service = try #require(StoringService(rawValue: name))
        let directory = try TemporaryDirectory()
        let source = "sqlite:\(directory.path("\(name).sqlite"))"
        let from = try await Database.open(url: source)
        try await from.migrate(service.migrations)
        try await from.write { transaction in
            for sql in Self.rows[name] ?? [] { try transaction.execute(sql) }
        }
        await from.close()
        let target = try await PostgresServer.shared.freshURL()
        let tallies = try await DatabaseCopy(service: service) { _ in }.run(from: source, to: target)
        #expect(!tallies.isEmpty && tallies.allSatisfy { $0.rows > 0 }, "a table without a row: \(tallies)")
        let to = try await Database.open(url: target)
        for tally in tallies {
            let rows = try await to.read { try $0.query("SELECT * FROM \(tally.table)").count }
            #expect(rows == tally.rows, "\(tally.table)")
        }
        await to.close()
    }
}
