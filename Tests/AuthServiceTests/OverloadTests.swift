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
        var last: RPCError?
        for _ in 0..<HashingRoom.fewest {
            last = await signIn()
            #expect(last?.reason == "overloaded" && last?.retryAfter == .seconds(2))
            #expect(fixture.log.take().contains("verify"))
        }
        #expect(try await counted() > 0)
        try await fixture.database.write { _ = try $0.execute("DELETE FROM guesses", [:]) }

        for _ in 0..<3 {
            let next = await signIn()
            #expect(next?.code == last?.code && next?.reason == last?.reason && next?.retryAfter == last?.retryAfter)
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

    /// A room whose next refusal begins a pause.
    private func nearlyFull(_ lane: Lane, _ now: ContinuousClock.Instant) -> HashingRoom {
        var room = HashingRoom()
        for _ in 1..<HashingRoom.fewest { room.note(full(90), told: told, in: lane, now: now) }
        return room
    }

    @Test("A refusal counts for as long as the pool said, and not for long", arguments: [(40, 40), (100, 100), (5000, 100)])
    func aRefusalCountsForAWhile(said: Int, holds: Int) {
        let start = ContinuousClock.now
        var room = nearlyFull(.routine, start)
        room.note(full(said), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .routine, now: start) != nil)
        #expect(room.refusal(in: .routine, now: start + .milliseconds(holds) - .nanoseconds(1)) != nil)
        #expect(room.refusal(in: .routine, now: start + .milliseconds(holds)) == nil)
    }

    /// Whoever is refused now and then is tried again at once, and may find room: nobody else is refused for it.
    @Test func fewRefusalsKeepNobodyOut() {
        let start = ContinuousClock.now
        var room = nearlyFull(.routine, start)
        #expect(room.refusal(in: .routine, now: start) == nil)
        // The window is over: this is the first of another one.
        room.note(full(50), told: told, in: .routine, now: start + HashingRoom.window)
        #expect(room.refusal(in: .routine, now: start + HashingRoom.window) == nil)
    }

    @Test(
        "A refusal that says nothing of others changes nothing",
        arguments: [(nil, "busy"), (50, "deadline_too_near"), (50, "")] as [(Int?, String)])
    func aRefusalOfOne(pause: Int?, reason: String) {
        let start = ContinuousClock.now
        var room = nearlyFull(.routine, start)
        room.note(full(pause, reason), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .routine, now: start) == nil)
    }

    /// The emergency lane has workers of its own, so that the one being full says nothing of the other.
    @Test func lanesAreApart() {
        let start = ContinuousClock.now
        var room = nearlyFull(.routine, start)
        room.note(full(90), told: told, in: .emergency, now: start)
        #expect(room.refusal(in: .emergency, now: start) == nil && room.refusal(in: .routine, now: start) == nil)
        room.note(full(90), told: told, in: .routine, now: start)
        #expect(room.refusal(in: .emergency, now: start) == nil && room.refusal(in: .routine, now: start) != nil)
    }
}
