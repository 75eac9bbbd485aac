import Testing

@testable import SQL

/// The value in a place where expectations can change it.
private final class Box {
    private var state: PoolState

    init(_ limits: PoolState.Limits) { state = PoolState(limits: limits) }

    var count: Int { state.count }
    var isDown: Bool { state.isDown }

    func arrived(waiting: Int, now: PoolState.Instant) -> PoolState.Arrival { state.arrived(waiting: waiting, now: now) }
    func opened(_ id: Int, now: PoolState.Instant, random: Double) { state.opened(id, now: now, random: random) }
    func failedToOpen(_ id: Int, now: PoolState.Instant, random: Double) -> Bool {
        state.failedToOpen(id, now: now, random: random)
    }
    func reopening(_ id: Int, now: PoolState.Instant) -> Bool { state.reopening(id, now: now) }
    func closed(_ id: Int) { state.closed(id) }
    func next(_ id: Int, hasWaiting: Bool, now: PoolState.Instant) -> PoolState.Next {
        state.next(id, hasWaiting: hasWaiting, now: now)
    }
    func woke(_ id: Int, now: PoolState.Instant) -> PoolState.Next { state.woke(id, now: now) }
}

/// Sizes, ages, waits and pauses of the pool, with the time in the test's hands.
@Suite struct PoolStateTests {
    private let start = ContinuousClock.now

    private func pool(size: Int = 2, overflow: Int = 1) -> Box {
        var limits = PoolState.Limits()
        limits.size = size
        limits.overflow = overflow
        return Box(limits)
    }

    /// A pool with connections that are busy.
    private func busy(_ count: Int, size: Int = 2, overflow: Int = 1) -> Box {
        let pool = pool(size: size, overflow: overflow)
        for id in 1...count {
            #expect(pool.arrived(waiting: id - 1, now: start) == .open(id))
        }
        for id in 1...count { pool.opened(id, now: start, random: 0.5) }
        return pool
    }

    @Test func defaultsAreThoseOfTheField() {
        let limits = PoolState.Limits()
        #expect(limits.size == 20 && limits.overflow == 30 && limits.recycleAge == .seconds(300))
    }

    @Test func workOpensConnectionsUpToSizeAndOverflowAndThenWaits() {
        let pool = busy(3)
        #expect(pool.arrived(waiting: 0, now: start) == .wait)
        #expect(pool.next(2, hasWaiting: true, now: start) == .work)
        #expect(pool.count == 3)
    }

    @Test func oneConnectionIsOpenedForEachThatWaits() {
        let pool = pool()
        #expect(pool.arrived(waiting: 0, now: start) == .open(1))
        // The connection that is being opened is for this one.
        #expect(pool.arrived(waiting: 0, now: start) == .wait)
        #expect(pool.arrived(waiting: 1, now: start) == .open(2))
    }

    @Test func workGoesToTheConnectionThatWasUsedLast() {
        let pool = busy(2)
        _ = pool.next(1, hasWaiting: false, now: start)
        _ = pool.next(2, hasWaiting: false, now: start)
        #expect(pool.arrived(waiting: 0, now: start) == .hand(to: 2))
        #expect(pool.arrived(waiting: 0, now: start) == .hand(to: 1))
    }

    @Test func overflowGoesWhenItIsIdleForAMoment() {
        let pool = busy(3)
        #expect(pool.next(3, hasWaiting: false, now: start) == .idle(until: start + .seconds(5)))
        #expect(pool.woke(3, now: start + .seconds(5)) == .close)
        #expect(pool.count == 2)
        // What is within the size stays, and is asked now and then.
        #expect(pool.next(2, hasWaiting: false, now: start) == .idle(until: start + .seconds(30)))
        #expect(pool.woke(2, now: start + .seconds(30)) == .check)
    }

    @Test func oldConnectionsAreReplaced() {
        let pool = busy(1)
        #expect(pool.next(1, hasWaiting: true, now: start + .seconds(299)) == .work)
        #expect(pool.next(1, hasWaiting: true, now: start + .seconds(300)) == .close)
        pool.closed(1)
        #expect(pool.arrived(waiting: 0, now: start) == .open(2))
    }

    @Test func agesDiffer() {
        let pool = pool()
        _ = pool.arrived(waiting: 0, now: start)
        pool.opened(1, now: start, random: 0)
        #expect(pool.next(1, hasWaiting: true, now: start + .seconds(270)) == .close)
    }

    @Test func whileTheServerIsAwayOneTriesAfterGrowingPauses() {
        let pool = pool()
        var now = start
        var pauses: [Duration] = []
        for id in 1...8 {
            #expect(pool.arrived(waiting: 0, now: now) == .open(id))
            // A second one waits for the attempt of the first.
            #expect(id == 1 || pool.arrived(waiting: 3, now: now) == .wait)
            #expect(pool.failedToOpen(id, now: now, random: 0.5))
            #expect(pool.isDown)
            guard case .refuse(let pause) = pool.arrived(waiting: 0, now: now) else {
                Issue.record("work was not refused")
                return
            }
            pauses.append(pause)
            now += pause
        }
        #expect(pauses == [50, 100, 200, 400, 800, 1600, 2000, 2000].map { .milliseconds($0) })
        #expect(pool.arrived(waiting: 0, now: now) == .open(9))
        pool.opened(9, now: now, random: 0.5)
        #expect(!pool.isDown)
        #expect(pool.arrived(waiting: 0, now: now) == .open(10))
    }

    @Test func thoseThatAreConnectedGoOnWhenNoMoreCanBeOpened() {
        let pool = busy(1)
        #expect(pool.arrived(waiting: 0, now: start) == .open(2))
        let isOver = pool.failedToOpen(2, now: start, random: 0.5)
        #expect(!isOver)
        #expect(pool.arrived(waiting: 1, now: start) == .wait)
        #expect(pool.next(1, hasWaiting: true, now: start) == .work)
    }

    @Test func manyThatFailTogetherAreOneFailure() {
        let pool = busy(3)
        for id in 1...3 {
            let mayTry = pool.reopening(id, now: start)
            #expect(mayTry)
        }
        for id in 1...3 { _ = pool.failedToOpen(id, now: start, random: 0.5) }
        #expect(pool.arrived(waiting: 0, now: start) == .refuse(retryAfter: .milliseconds(50)))
    }
}
