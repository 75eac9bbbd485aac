import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct RelayTests {
    @Test func anOutageOfMailDelaysMailAndNothingElse() async throws {
        let fixture = try await Fixture()
        fixture.email.set(down: true)
        try await fixture.register("ada@example.com")
        #expect(try await fixture.relay.relayDue() == 1)
        #expect(try await fixture.relay.relayDue() == 0, "it waits before the next attempt")
        fixture.email.set(down: false)
        fixture.clock.advance(by: .milliseconds(499))
        #expect(try await fixture.relay.relayDue() == 0)
        fixture.clock.advance(by: .milliseconds(1))
        let token = try await fixture.mailedToken(.emailVerification)
        try await fixture.verify(token)
        #expect(try await fixture.handler.store.nextNotification() == nil)
    }

    /// When the answer is lost, the mail may arrive twice, with two links: both must work, whichever is followed.
    @Test func aLostAnswerLeavesBothLinksValid() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        fixture.email.set(losingAnswers: true)
        try await fixture.relay.relayDue()
        fixture.email.set(losingAnswers: false)
        fixture.clock.advance(by: .seconds(1))
        try await fixture.relay.relayDue()
        let mails = fixture.email.take()
        try #require(mails.count == 2)
        #expect(Set(mails.map(\.idempotencyKey)).count == 2)
        #expect(Set(mails.map { $0.variables["token"] }).count == 2)
        try await fixture.verify(try #require(mails[0].variables["token"]))
        #expect(await refusal { try await fixture.verify(mails[1].variables["token"] ?? "") } == "invalid_token")
    }

    @Test func twoRelaysSendEachNotificationOnce() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        for index in 0..<30 { try await fixture.register("user\(index)@example.com") }
        async let a = drain(fixture.relay)
        async let b = drain(second.relay)
        #expect(try await a + b == 30)
        let mails = fixture.email.take()
        #expect(mails.count == 30 && Set(mails.map(\.to)).count == 30)
    }

    private func drain(_ relay: NotificationRelay) async throws -> Int {
        var sum = 0
        while true {
            let count = try await relay.relayDue()
            if count == 0 { return sum }
            sum += count
        }
    }

    /// A relay that died between taking a notification and sending it: another takes it after the lease.
    @Test func whatADeadRelayTookIsTakenAgain() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let taken = try await fixture.handler.store.takeNotifications(limit: 20, lease: NotificationRelay.lease)
        #expect(taken.count == 1)
        fixture.clock.advance(by: .milliseconds(1499))
        #expect(try await fixture.relay.relayDue() == 0)
        fixture.clock.advance(by: .milliseconds(1))
        _ = try await fixture.mailedToken(.emailVerification)
    }

    @Test func aResetThatNobodyCouldSendInTimeIsGivenUp() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        fixture.email.set(down: true)
        var request = AuthRequestPasswordResetRequest()
        request.email = "ada@example.com"
        _ = try await fixture.client().requestPasswordReset(request, CallOptions())
        try await fixture.relay.relayDue()
        fixture.clock.advance(by: .seconds(901))
        fixture.email.set(down: false)
        #expect(try await fixture.mails().isEmpty)
        #expect(try await fixture.handler.store.nextNotification() == nil)
    }

    @Test func theRelayIsWokenByACommit() async throws {
        let fixture = try await Fixture()
        let running = Task { await fixture.relay.run() }
        await fixture.clock.waitForSleeper()
        // The clock stands still: only the commit can wake the relay.
        try await fixture.register("ada@example.com")
        while fixture.email.messages.isEmpty { await Task.yield() }
        running.cancel()
        await running.value
    }

    @Test("ASVS 6.5.2: the outbox holds no secret")
    func theOutboxHoldsNoSecret() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let columns = try await fixture.database.write {
            try $0.query("SELECT name FROM pragma_table_info('notifications')") { try $0.get("name", as: String.self) }
        }
        #expect(!columns.contains { $0.contains("token") || $0.contains("hash") || $0.contains("password") })
    }
}
