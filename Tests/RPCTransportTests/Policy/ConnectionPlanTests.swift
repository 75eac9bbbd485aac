import RPCClient
import TestSupport
import Testing

@Suite struct ConnectionPlanTests {
    private let start = ContinuousClock.now

    private func expectNone(
        _ attempts: [ConnectionPlan.Attempt], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(attempts.isEmpty, sourceLocation: sourceLocation)
    }

    private func first(_ attempts: [ConnectionPlan.Attempt]) throws -> ConnectionPlan.Attempt {
        try #require(attempts.first)
    }

    @Test("Pauses double up to their bound and lie anywhere below it")
    func backoff() {
        var random = SeededRandom()
        print("seed \(random.seed)")
        var backoff = Backoff(base: .milliseconds(50), maximum: .seconds(1), minimum: .milliseconds(5))
        for ceiling in [50, 100, 200, 400, 800, 1000, 1000, 1000] {
            #expect(backoff.ceiling == .milliseconds(ceiling))
            let pause = backoff.next(using: &random)
            #expect(pause >= .milliseconds(5) && pause <= .milliseconds(ceiling))
        }
        backoff.reset()
        #expect(backoff.ceiling == .milliseconds(50))
    }

    @Test("Many clients do not come back together")
    func jitter() {
        var random = SeededRandom(seed: 1)
        let pauses = (0..<200).map { _ in
            var backoff = Backoff(base: .milliseconds(100), maximum: .seconds(1))
            return backoff.next(using: &random)
        }
        #expect(Set(pauses).count > 190)
        #expect(pauses.contains { $0 < .milliseconds(40) })
        #expect(pauses.contains { $0 > .milliseconds(70) })
    }

    @Test("Demand opens every idle connection, once")
    func demand() {
        var plan = ConnectionPlan(connections: 2, backoff: Backoff())
        let attempts = plan.demand(now: start)
        #expect(attempts.map(\.slot) == [0, 1])
        expectNone(plan.demand(now: start))
        #expect(plan.isConnecting)
        let taken = attempts.map { plan.connected($0) }
        #expect(taken == [true, true])
        #expect(!plan.isConnecting)
        expectNone(plan.demand(now: start))
        plan.retired(attempts[1])
        let again = plan.demand(now: start)
        #expect(again.map(\.slot) == [1])
    }

    @Test("After a failure nobody connects until the pause is over")
    func pause() throws {
        var random = SeededRandom(seed: 2)
        var plan = ConnectionPlan(connections: 1, backoff: Backoff())
        let attempt = try first(plan.demand(now: start))
        plan.failed(attempt, "connection refused", now: start, using: &random)
        #expect(plan.lastFailure == "connection refused")
        let retryAt = try #require(plan.retryAt)
        #expect(retryAt > start)
        expectNone(plan.demand(now: start))
        let second = try first(plan.demand(now: retryAt))
        #expect(second != attempt)
        let isTaken = plan.connected(second)
        #expect(isTaken)
        #expect(plan.lastFailure == nil)
    }

    @Test("A lost connection is opened again after a pause where nobody waits, so that a flapping server is spared")
    func pauseWithoutFailure() throws {
        var random = SeededRandom(seed: 5)
        var plan = ConnectionPlan(connections: 2, backoff: Backoff())
        let attempts = plan.demand(now: start)
        for attempt in attempts { _ = plan.connected(attempt) }
        plan.retired(attempts[1])
        plan.pause(now: start, using: &random)
        expectNone(plan.demand(now: start))
        #expect(plan.lastFailure == nil)
        let retryAt = try #require(plan.retryAt)
        #expect(plan.demand(now: retryAt).map(\.slot) == [1])
    }

    @Test("Only an answer shows that a service is well: connections that come and go make the pauses longer")
    func flapping() throws {
        var random = SeededRandom(seed: 6)
        print("seed \(random.seed)")
        var plan = ConnectionPlan(connections: 1, backoff: Backoff(base: .seconds(1), maximum: .seconds(64)))
        var (now, pauses) = (start, [Duration]())
        for _ in 0..<6 {
            let attempt = try first(plan.demand(now: now))
            _ = plan.connected(attempt)
            plan.retired(attempt)
            plan.pause(now: now, using: &random)
            let retryAt = try #require(plan.retryAt)
            pauses.append(now.duration(to: retryAt))
            now = retryAt
        }
        #expect(pauses.max().map { $0 > .seconds(2) } == true)
        plan.proved()
        plan.pause(now: now, using: &random)
        #expect(plan.retryAt.map { now.duration(to: $0) <= .seconds(1) } == true)
    }

    @Test("A service that serves over some connections is well, though it has no room for more")
    func crowded() {
        var random = SeededRandom(seed: 8)
        var plan = ConnectionPlan(connections: 2, backoff: Backoff())
        let attempts = plan.demand(now: start)
        _ = plan.connected(attempts[0])
        plan.proved()
        plan.failed(attempts[1], "too many connections", now: start, using: &random)
        plan.retired(attempts[0])
        plan.doubt()
        #expect(!plan.isDoubtful)
        #expect(plan.demand(now: start, isUrgent: true).count == 2)
    }

    @Test("An urgent call waits for no pause")
    func urgent() {
        var random = SeededRandom(seed: 7)
        var plan = ConnectionPlan(connections: 1, backoff: Backoff())
        plan.pause(now: start, using: &random)
        expectNone(plan.demand(now: start))
        #expect(plan.demand(now: start, isUrgent: true).map(\.slot) == [0])
    }

    @Test("What an earlier attempt reports late does not touch the present one")
    func stale() throws {
        var random = SeededRandom(seed: 3)
        var plan = ConnectionPlan(connections: 1, backoff: Backoff())
        let old = try first(plan.demand(now: start))
        plan.failed(old, "first", now: start, using: &random)
        let retryAt = try #require(plan.retryAt)
        let new = try first(plan.demand(now: retryAt))
        plan.failed(old, "late", now: retryAt, using: &random)
        #expect(plan.lastFailure == "first")
        #expect(plan.isConnecting)
        let isOldTaken = plan.connected(old)
        #expect(!isOldTaken)
        let isNewTaken = plan.connected(new)
        #expect(isNewTaken)
        plan.retired(old)
        expectNone(plan.demand(now: retryAt))
    }

    @Test("Connections that fail together count as one failure")
    func together() throws {
        var random = SeededRandom(seed: 4)
        var plan = ConnectionPlan(connections: 3, backoff: Backoff())
        let attempts = plan.demand(now: start)
        plan.failed(attempts[0], "refused", now: start, using: &random)
        let retryAt = plan.retryAt
        plan.failed(attempts[1], "refused", now: start, using: &random)
        plan.failed(attempts[2], "refused", now: start, using: &random)
        #expect(plan.retryAt == retryAt)
    }
}
