import ContractClients
import Contracts
import EmailService
import RPCCore
import SQL
import TestSupport
import Testing

/// Delivery when something is in its way.
@Suite(.everyEngine) struct WorkerTests {
    @Test func aSinkThatIsAwayIsTriedAgainLater() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        fixture.sink.fail([.unavailable("full"), .unavailable("full")])
        let worker = try fixture.worker()

        #expect(try await worker.deliverDue() == 1)
        #expect(try await worker.deliverDue() == 0, "it must wait first")
        fixture.clock.advance(by: .seconds(1))
        #expect(try await worker.deliverDue() == 1)
        fixture.clock.advance(by: .seconds(2))
        #expect(try await worker.deliverDue() == 1)

        let status = try await fixture.state(of: id)
        #expect(status.state == .delivered)
        #expect(status.attempts == 3)
    }

    @Test func aMessageIsGivenUpAfterTheLastAttempt() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        fixture.sink.fail(Array(repeating: .unavailable("full"), count: 3))
        let worker = try fixture.worker { $0.retry.maximumAttempts = 3 }
        for _ in 0..<5 {
            try await worker.deliverDue()
            fixture.clock.advance(by: .seconds(700))
        }
        #expect(try await fixture.state(of: id).state == .failed)
        #expect(fixture.sink.messages(of: id).count == 3)
        #expect(try !fixture.databaseBytes().holds("ada@example.com"))
    }

    @Test func aRefusalIsFinal() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        fixture.sink.fail([.refused("no such mailbox")])
        try await fixture.worker().deliverDue()
        #expect(try await fixture.state(of: id).state == .failed)
    }

    @Test func encryptionThatIsAwayCostsNoAttempt() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        fixture.sealer.set(reachable: false)
        let worker = try fixture.worker { $0.retry.maximumAttempts = 1 }
        for _ in 0..<5 {
            try await worker.deliverDue()
            fixture.clock.advance(by: .seconds(10))
        }
        #expect(try await fixture.state(of: id).attempts == 0)
        fixture.sealer.set(reachable: true)
        try await worker.deliverDue()
        #expect(try await fixture.state(of: id).state == .delivered)
    }

    @Test func nothingIsAcceptedThatCannotBeSealed() async throws {
        let fixture = try await Fixture()
        fixture.sealer.set(reachable: false)
        let error = await #expect(throws: RPCError.self) { try await fixture.client.send(.verification()) }
        #expect(error?.code == .unavailable)
        fixture.sealer.set(reachable: true)
        #expect(try await fixture.worker().deliverDue() == 0)
    }

    @Test func aMessageOfADeadWorkerIsDueAgainWhenItsLeaseEnds() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        #expect(try await fixture.store.claimForTest(owner: "email-2", now: fixture.clock.now) == id)

        let worker = try fixture.worker()
        #expect(try await worker.deliverDue() == 0, "the lease holds")
        fixture.clock.advance(by: .seconds(61))
        #expect(try await worker.deliverDue() == 1)
        let status = try await fixture.state(of: id)
        #expect(status.state == .delivered)
        #expect(status.attempts == 2)
    }

    @Test func aProcessTakesBackWhatItHeldBeforeItDied() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        #expect(try await fixture.store.claimForTest(owner: "email-1", now: fixture.clock.now) == id)
        let worker = try fixture.worker()
        let running = Task { try await worker.run() }
        for await delivered in fixture.sink.deliveries where delivered == id { break }
        running.cancel()
        try await running.value
        #expect(try await fixture.state(of: id).state == .delivered)
    }

    @Test func aLateWorkerChangesNothing() async throws {
        let fixture = try await Fixture()
        let id = try await fixture.client.send(.verification()).messageID
        let late = try await fixture.store.lateFinishForTest(now: fixture.clock.now) {
            fixture.clock.advance(by: .seconds(61))
            return try await fixture.store.claimForTest(owner: "email-2", now: fixture.clock.now) == id
        }
        #expect(late == false)
        #expect(try await fixture.state(of: id).state == .queued)
    }

    @Test func theWorkerWakesWhenAMessageIsCommitted() async throws {
        let fixture = try await Fixture()
        let worker = try fixture.worker()
        let running = Task { try await worker.run() }
        for number in 0..<20 {
            let id = try await fixture.client.send(.verification(key: "key-\(number)")).messageID
            for await delivered in fixture.sink.deliveries where delivered == id { break }
        }
        running.cancel()
        try await running.value
    }

    @Test func backoffDoublesUpToItsCap() {
        let policy = RetryPolicy(first: .seconds(1), longest: .seconds(600), maximumAttempts: 20)
        let table: [(Int, Duration)] = [
            (1, .seconds(1)), (2, .seconds(2)), (3, .seconds(4)), (4, .seconds(8)), (8, .seconds(128)),
            (10, .seconds(512)), (11, .seconds(600)), (20, .seconds(600)), (1000, .seconds(600)),
        ]
        for (attempt, ceiling) in table {
            #expect(policy.ceiling(afterAttempt: attempt) == ceiling)
            #expect(policy.delay(afterAttempt: attempt, random: 0) == ceiling / 2)
            #expect(policy.delay(afterAttempt: attempt, random: 0.5) == ceiling * 3 / 4)
            #expect(policy.delay(afterAttempt: attempt, random: 0.999) < ceiling)
        }
    }
}
