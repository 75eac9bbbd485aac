import Contracts
import RPCCore
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct OverloadTests {
    @Test(
        "Whoever is refused for too much work comes back after those who were let in, not before",
        arguments: [(nil, 2000), (50, 2000), (5000, 5000)] as [(Int?, Int)])
    func comesBackLater(asked: Int?, told: Int) {
        let busy = RPCError(.resourceExhausted, "planted", retryAfter: asked.map { .milliseconds($0) })
        #expect(Passwords.comingBackLater(busy).retryAfter == .milliseconds(told))
    }

    /// Neither the database nor the pool is asked: the one would be written to twice, the other has said it.
    @Test func whoComesWhileThePoolIsFullCostsNothing() async throws {
        let fixture = try await Fixture()
        let client = try fixture.client()
        var request = AuthCreateSessionRequest()
        request.email = "nobody@example.org"
        request.password = Fixture.password
        func signIn() async -> RPCError? {
            do throws(RPCError) {
                _ = try await client.createSession(request)
                return nil
            } catch { return error }
        }
        func counted() async throws -> Int {
            try await fixture.database.read { try $0.one("SELECT count(*) AS n FROM guesses") { try $0.get("n") as Int } }
        }
        fixture.passwords.set { $0.refusal = RPCError(.resourceExhausted, "planted", reason: "busy", retryAfter: .milliseconds(40)) }
        let first = await signIn()
        #expect(first?.reason == "overloaded" && first?.retryAfter == .seconds(2))
        #expect(fixture.log.take().contains("verify"))
        let rows = try await counted()
        #expect(rows > 0)
        try await fixture.database.write { _ = try $0.execute("DELETE FROM guesses", [:]) }

        for _ in 0..<3 {
            let next = await signIn()
            #expect(next?.code == first?.code && next?.reason == first?.reason && next?.retryAfter == first?.retryAfter)
        }
        #expect(try await counted() == 0)
        #expect(fixture.log.take().isEmpty)

        fixture.passwords.set { $0.refusal = nil }
        fixture.elapsed.advance(by: .milliseconds(40))
        #expect(await signIn()?.code == .unauthenticated)
        #expect(fixture.log.take() == ["verify"])
    }

    private let told = DownstreamError(service: "encryption", error: RPCError(.resourceExhausted, "planted"))

    private func full(_ milliseconds: Int?, _ reason: String = "busy") -> RPCError {
        RPCError(.resourceExhausted, "planted", reason: reason, retryAfter: milliseconds.map { .milliseconds($0) })
    }

    @Test("A refusal counts for as long as the pool said, and not for long", arguments: [(40, 40), (100, 100), (5000, 100)])
    func aRefusalCountsForAWhile(said: Int, holds: Int) {
        var room = HashingRoom()
        let start = ContinuousClock.now
        room.note(full(said), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .routine, now: start) != nil)
        #expect(room.refusal(in: .routine, now: start + .milliseconds(holds) - .nanoseconds(1)) != nil)
        #expect(room.refusal(in: .routine, now: start + .milliseconds(holds)) == nil)
    }

    /// The emergency lane has workers of its own, so that the one being full says nothing of the other.
    @Test func lanesAreApart() {
        var room = HashingRoom()
        let start = ContinuousClock.now
        #expect(room.refusal(in: .routine, now: start) == nil)
        room.note(full(nil), told: told, in: .routine, now: start)
        room.note(full(50, "deadline_too_near"), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .routine, now: start) == nil)
        room.note(full(50), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .emergency, now: start) == nil)
        room.note(full(90), told: told, in: .emergency, now: start)
        #expect(room.refusal(in: .routine, now: start + .milliseconds(60)) == nil)
        #expect(room.refusal(in: .emergency, now: start + .milliseconds(60)) != nil)
    }
}
