import SQL
import TestSupport
import Testing

@testable import AuthService

/// What was written by an earlier version.
@Suite(.everyEngine) struct UpgradeTests {
    @Test func anEarlierDatabaseGoesOn() async throws {
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: Engine.current.freshURL(directory.path("auth.sqlite")))
        _ = try await database.migrate(Array(AuthMigrations.all.prefix(2)))
        let clock = ManualClock()
        let (now, token) = (clock.now, try OpaqueToken(.refresh))
        let hash = try token.hash
        try await database.write { transaction in
            try transaction.execute(
                """
                INSERT INTO users
                    (id, email, name, roles, password_hash, claims, email_verified_at, created_at, updated_at)
                VALUES ('usr_old', 'ada@example.com', 'Ada', 'user', 'x', 1, :now, :now, :now)
                """, ["now": now])
            try transaction.execute(
                """
                INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, address, network, user_agent)
                VALUES ('ses_old', 'usr_old', :now, :now, :end, '192.0.2.1', '192.0.2.1', 'agent')
                """, ["now": now, "end": now + .seconds(86_400)])
            try transaction.execute(
                "INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES (:hash, 'ses_old', :now)",
                ["hash": hash, "now": now])
            _ = try transaction.execute(
                """
                INSERT INTO audit_events (id, at, event, user_id, request_id, address, network, user_agent, mailed)
                VALUES ('aud_old', :now, 'user_registered', 'usr_old', 'r', '', '', '', 0)
                """, ["now": now])
        }
        let store = AuthStore(database: database, policy: AuthPolicy(), clock: clock)
        try await store.prepare()
        let origin = Origin(address: "192.0.2.1", userAgent: "agent", requestID: "r")
        #expect(try await store.isLive(session: "ses_old"))
        clock.advance(by: .seconds(1))
        _ = try await store.exchange(token, for: OpaqueToken(.refresh), origin)
        var search = AuditSearch()
        search.userID = "usr_old"
        let events = try await store.auditEvents(search).map(\.event)
        #expect(events == ["authn_token_refreshed", "user_registered"], "one trail, before and after")
        let account = try await store.account("usr_old")
        #expect(account.liveSessions == 1 && account.tier == nil && !account.isDisabled && !account.hasSecondFactor)
        _ = try await store.raiseTokenVersion(for: .everyone, grace: .zero, by: .operator, origin)
        #expect(try await !store.isLive(session: "ses_old"))
        await database.close()
    }
}
