import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// What is pruned, and that it is found without reading whole tables.
@Suite(.everyEngine) struct MaintenanceTests {
    private let week = AuthPolicy.retention + .seconds(1)

    private func rows(_ fixture: Fixture, _ table: String, where condition: String = "1 = 1") async throws -> Int {
        try await fixture.database.read {
            try $0.one("SELECT count(*) AS n FROM \(table) WHERE \(condition)").get("n")
        }
    }

    @Test func whatNobodyConfirmedIsForgotten() async throws {
        let fixture = try await Fixture()
        let member = try await fixture.member()
        for number in 0..<5 { try await fixture.register("nobody\(number)@example.com") }
        _ = await refusal { _ = try await fixture.signIn("nobody1@example.com", password: "wrong") }
        fixture.clock.advance(by: AuthPolicy.retention - .seconds(1))
        try await fixture.register("nobody0@example.com")
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "users") == 6, "not before their time")
        fixture.clock.advance(by: .seconds(2))
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "users") == 2, "the member, and who registered again")
        #expect(try await rows(fixture, "registrations") == 1)
        #expect(try await rows(fixture, "guesses") == 0)
        let ofMember = "subject = (SELECT pseudonym FROM users WHERE id = '\(member.userID)')"
        #expect(try await rows(fixture, "audit_events", where: "subject NOT IN (SELECT pseudonym FROM users)") == 0)
        #expect(try await rows(fixture, "audit_events", where: ofMember) == 2)
        // The address is free again.
        try await fixture.register("nobody1@example.com")
        _ = try await fixture.signIn()
    }

    private func imported(_ email: String) throws -> ImportedUser {
        let hash = "$2b$12$" + String(repeating: "a", count: 53)
        return try ImportedUser(json: Array(#"{"email":"\#(email)","password_hash":"\#(hash)"}"#.utf8)[...])
    }

    /// However often strangers register the address.
    @Test func importedAccountsStayWhetherConfirmedOrNot() async throws {
        let fixture = try await Fixture()
        let users = [try imported("ada@example.com"), try imported("grace@example.com")]
        let count = try await fixture.handler.store.importUsers(users, from: "file")
        #expect(count == ImportedCount(added: 2, unconfirmed: 2))
        try await fixture.register("grace@example.com")
        fixture.clock.advance(by: week + week)
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "users") == 2)
        // Whoever has the mailbox comes in, with a password of their own.
        try await fixture.requestReset("ada@example.com")
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: "canary horse battery staple")
        _ = try await fixture.signIn(password: "canary horse battery staple")
        while try await fixture.handler.store.sealAuditTrail(as: "one") > 0 {}
        #expect(try await fixture.handler.store.verifyAuditTrail().isWhole)
    }

    @Test func whatUnknownAddressesLeftIsForgotten() async throws {
        let fixture = try await Fixture()
        for number in 0..<5 {
            _ = await refusal { _ = try await fixture.signIn("nobody\(number)@example.com", password: "wrong") }
            try await fixture.resend("nobody\(number)@example.com")
        }
        #expect(try await rows(fixture, "audit_events") == 10)
        #expect(try await rows(fixture, "guesses") == 5)
        fixture.clock.advance(by: week)
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "audit_events") == 0)
        #expect(try await rows(fixture, "guesses") == 0)
    }

    @Test func aUsersGuessesAreNotForgotten() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = await refusal { _ = try await fixture.signIn(password: "wrong") }
        fixture.clock.advance(by: .seconds(365 * 86_400))
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "guesses") == 1)
    }

    @Test func oldRefreshTokensOfALiveSessionAreForgotten() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let first = try await fixture.signIn()
        let second = try await fixture.refresh(first.refreshToken)
        fixture.clock.advance(by: week)
        let third = try await fixture.refresh(second.refreshToken)
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "refresh_tokens") == 2, "the one in use, and one whose replay is an alarm")
        #expect(await refusal { _ = try await fixture.refresh(first.refreshToken) } == "invalid_refresh_token")
        #expect(try await fixture.isLive(first.sessionID))
        _ = try await fixture.refresh(third.refreshToken)
    }

    @Test func everydayEventsAndUserAgentsAreForgottenInTime() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn(agent: "old")
        _ = try await fixture.refresh(session.refreshToken)
        _ = await refusal { _ = try await fixture.signIn(password: "wrong") }
        fixture.clock.advance(by: AuthPolicy.memory - .seconds(1))
        _ = try await fixture.signIn(agent: "new")
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "known_agents") == 2)
        fixture.clock.advance(by: .seconds(2))
        try await fixture.handler.store.prune()
        #expect(try await rows(fixture, "known_agents") == 1)
        #expect(
            try await fixture.audit() == [
                "user_registered", "email_verified", "authn_login_success", "authn_login_success",
            ])
    }

    @Test func pruningReadsNoWholeTable() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        for rule in AuthStore.pruning {
            let now = fixture.clock.now
            let plan = try await plan(rule.sql, rule.parameters(before: now, now: now), fixture)
            #expect(!plan.isEmpty && plan.allSatisfy { !$0.hasPrefix("SCAN") }, "\(rule.sql): \(plan)")
            // Not only a part of a table: the rows that are due.
            #expect(plan.contains { $0.contains("<?)") }, "\(rule.sql): \(plan)")
        }
    }

    @Test func takingNotificationsReadsNoWholeTable() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        for sql in AuthStore.discarding {
            let plan = try await plan(sql, [:], fixture)
            let isIndexed = plan.allSatisfy { $0.contains("notifications_nothing") || $0.contains("(user_id=?)") }
            #expect(!plan.isEmpty && isIndexed, "\(sql): \(plan)")
        }
    }

    /// What a mail costs to decide does not grow with what was asked for and not sent.
    @Test func mailsAreCountedFromTheirIndexAlone() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        let plan = try await plan(
            """
            SELECT count(*), count(CASE WHEN network = 'a' THEN 1 END), count(CASE WHEN site = 'b' THEN 1 END)
            FROM audit_events WHERE subject = 'u' AND event = 'e' AND at > 0 AND mailed = 1
            """, [:], fixture)
        #expect(plan.count == 1)
        #expect(plan.first?.contains("COVERING INDEX audit_events_mailed") == true, "\(plan)")
        #expect(plan.first?.contains("at>?") == true, "\(plan)")
    }

    private func plan(_ sql: String, _ parameters: Parameters, _ fixture: Fixture) async throws -> [String] {
        try await fixture.database.write {
            try $0.query("EXPLAIN QUERY PLAN " + sql, parameters) { try $0.get("detail", as: String.self) }
        }
    }

    @Test func aLongBacklogIsForgottenInPieces() async throws {
        let fixture = try await Fixture()
        let rows = AuthStore.piece * 2 + 1
        try await fixture.database.write {
            _ = try $0.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
                INSERT INTO audit_events
                    (id, at, event, request_id, address, network, user_agent, mailed)
                SELECT 'old' || i, 0, 'authn_login_fail', '', '', '', '', 0 FROM n
                """, ["rows": rows])
        }
        try await fixture.handler.store.prune()
        #expect(try await self.rows(fixture, "audit_events") == 0)
    }

    @Test func whatAnybodyCanCauseIsForgottenInTime() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await fixture.requestReset("ada@example.com")
        try await fixture.resend("ada@example.com")
        try await fixture.register("ada@example.com")
        fixture.clock.advance(by: AuthPolicy.memory + .seconds(1))
        try await fixture.handler.store.prune()
        #expect(try await fixture.audit() == ["user_registered", "email_verified"])
    }

    @Test func anAccountIsNotForgottenBeforeItsLastLink() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        _ = try await fixture.mails()
        fixture.clock.advance(by: AuthPolicy.retention - .seconds(60))
        try await fixture.resend("ada@example.com")
        let token = try await fixture.mailedToken(.emailVerification)
        fixture.clock.advance(by: .seconds(120))
        try await fixture.handler.store.prune()
        try await fixture.verify(token)
        _ = try await fixture.signIn()
    }
}
