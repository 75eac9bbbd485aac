import Contracts
import RPCCore
import SQL
import Testing

@testable import AuthService

/// What is pruned, and that it is found without reading whole tables.
@Suite struct MaintenanceTests {
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
        #expect(try await rows(fixture, "audit_events", where: "user_id NOT IN (SELECT id FROM users)") == 0)
        #expect(try await rows(fixture, "audit_events", where: "user_id = '\(member.userID)'") == 2)
        // The address is free again.
        try await fixture.register("nobody1@example.com")
        _ = try await fixture.signIn()
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
        let fixture = try await Fixture()
        for (sql, _) in AuthStore.pruning {
            let plan = try await fixture.database.write {
                try $0.query("EXPLAIN QUERY PLAN " + sql, ["before": 0]) { try $0.get("detail", as: String.self) }
            }
            #expect(!plan.isEmpty && plan.allSatisfy { !$0.hasPrefix("SCAN") }, "\(sql): \(plan)")
        }
    }
}
