import ContractClients
import Contracts
import EmailService
import RPCCore
import SQL
import TestSupport
import Testing

/// What happens to a message between the request and its end.
@Suite(.everyEngine) struct OutboxTests {
    @Test func aMessageIsDeliveredOnceAndForgotten() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        #expect(try await fixture.state(of: id).state == .queued)

        #expect(try await fixture.worker().deliverDue() == 1)
        #expect(try await fixture.worker().deliverDue() == 0)

        let status = try await fixture.state(of: id)
        #expect(status.state == .delivered)
        #expect(status.attempts == 1)
        #expect(try File.names(in: fixture.directory.path("outbox")) == ["\(id).eml"])
        #expect(try File.mode(fixture.directory.path("outbox/\(id).eml")) == 0o600)
        let left = try await fixture.database.read {
            try $0.one("SELECT payload FROM messages").get("payload", as: [UInt8]?.self)
        }
        #expect(left == nil)
    }

    @Test func theSameKeyIsTheSameMessage() async throws {
        let fixture = try await Fixture()
        let first = try await fixture.client.send(.verification()).messageID
        #expect(try await fixture.client.send(.verification()).messageID == first)
        try await fixture.worker().deliverDue()
        #expect(try await fixture.client.send(.verification()).messageID == first)
        #expect(try await fixture.worker().deliverDue() == 0)
        #expect(try await fixture.client.send(.verification(key: "key-2")).messageID != first)
    }

    @Test(arguments: [
        EmailSendRequest.verification(to: "eve@example.com"), .verification(name: "Eve"), .verification(token: "other"),
    ])
    func theSameKeyWithOtherContentIsRefused(other: EmailSendRequest) async throws {
        let fixture = try await Fixture()
        _ = try await fixture.client.send(.verification())
        let error = await #expect(throws: RPCError.self) { try await fixture.client.send(other) }
        #expect(error?.code == .alreadyExists)
        #expect(error?.reason == "idempotency_conflict")
    }

    @Test func hundredRequestsAtOnceWithOneKeyAreOneMessage() async throws {
        let fixture = try await Fixture()
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<100 {
                group.addTask { try await fixture.client.send(.verification()).messageID }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(try await fixture.worker().deliverDue() == 1)
    }

    @Test func whatWaitsIsSealed() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        let (address, token, name) = ("planted-address@example.com", "planted-token-0123456789", "Planted Name")
        _ = try await fixture.client.send(.verification(to: address, name: name, token: token))
        let bytes = try fixture.databaseBytes()
        #expect(bytes.holds("email_verification"))
        for planted in [address, token, name] { #expect(!bytes.holds(planted)) }
    }

    @Test func rowsCannotBeSwapped() async throws {
        let fixture = try await Fixture()
        let first = try await fixture.client.send(.verification(key: "a", to: "a@example.com")).messageID
        let second = try await fixture.client.send(.verification(key: "b", to: "b@example.com")).messageID
        try await fixture.database.write { transaction in
            _ = try transaction.execute(
                "UPDATE messages SET payload = (SELECT payload FROM messages WHERE id = :from) WHERE id = :to",
                ["from": first, "to": second])
        }
        try await fixture.worker().deliverDue()
        #expect(try await fixture.state(of: first).state == .delivered)
        #expect(try await fixture.state(of: second).state == .failed)
    }

    @Test func aMessageThatExpiredIsNotDelivered() async throws {
        let fixture = try await Fixture()
        var request = EmailSendRequest.verification()
        request.expiresAtUs = fixture.clock.now + Duration.seconds(900).microseconds
        let id = try await fixture.client.send(request).messageID
        fixture.clock.advance(by: .seconds(900))
        try await fixture.worker().deliverDue()
        #expect(try await fixture.state(of: id).state == .expired)
        #expect(fixture.sink.messages(of: id).isEmpty)
    }

    @Test func endedMessagesAreForgottenAfterTheirTime() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        let worker = try fixture.worker()
        let running = Task { try await worker.run() }
        for await delivered in fixture.sink.deliveries where delivered == id { break }
        // The sink has it before the outbox knows; time passes after that.
        while try await fixture.state(of: id).state != .delivered { await Task.yield() }
        fixture.clock.advance(by: .seconds(8 * 86_400))
        let next = try await fixture.client.send(.verification(key: "next")).messageID
        for await delivered in fixture.sink.deliveries where delivered == next { break }
        running.cancel()
        try await running.value
        // The lane looks for old messages each time before it rests, so a last look follows the last delivery.
        #expect(try await fixture.store.forgetForTest(fixture.clock.now) <= 1)
        await #expect(throws: RPCError.self) { try await fixture.state(of: id) }
    }

    @Test func callersSeeTheirOwnMessages() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        var request = EmailGetMessageRequest()
        request.messageID = id
        let status = try await fixture.client(as: "operator").getMessage(request)
        #expect(status.state == .queued)
        let error = await #expect(throws: RPCError.self) { try await fixture.client(as: "gateway").getMessage(request) }
        #expect(error?.code == .permissionDenied)
    }
}
