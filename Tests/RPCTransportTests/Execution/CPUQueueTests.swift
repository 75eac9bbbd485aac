import RPCCore
import RPCTransport
import Testing

@Suite struct CPUQueueTests {
    private let start = ContinuousClock.now
    private var far: Deadline { .after(.seconds(60), now: start) }

    private func name(_ next: CPUQueue<String>.Next?) -> String? {
        switch next {
        case .run(let job): job.payload
        case .expired(let job): "expired \(job.payload)"
        case nil: nil
        }
    }

    @Test("Emergency goes first, then the order of arrival")
    func order() throws {
        var queue = CPUQueue<String>(capacity: 10, workers: 1)
        _ = try queue.add("a", method: 1, lane: .routine, deadline: far, now: start)
        _ = try queue.add("b", method: 1, lane: .routine, deadline: far, now: start)
        _ = try queue.add("urgent", method: 1, lane: .emergency, deadline: far, now: start)
        let taken = (0..<4).map { _ in name(queue.next(now: start)) }
        #expect(taken == ["urgent", "a", "b", nil])
    }

    @Test("A fifth of the places is for emergencies alone")
    func share() throws {
        var queue = CPUQueue<String>(capacity: 10, workers: 1)
        for _ in 0..<8 { _ = try queue.add("r", method: 1, lane: .routine, deadline: far, now: start) }
        #expect(throws: CPUQueue<String>.Refusal.full(retryAfter: .milliseconds(1))) {
            try queue.add("one too many", method: 1, lane: .routine, deadline: far, now: start)
        }
        for _ in 0..<2 { _ = try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start) }
        #expect(queue.waiting == 10)
        #expect(throws: CPUQueue<String>.Refusal.self) {
            try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start)
        }
    }

    @Test("Emergencies may take all places, and then routine work gets none")
    func emergencyFills() throws {
        var queue = CPUQueue<String>(capacity: 5, workers: 1)
        for _ in 0..<5 { _ = try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start) }
        #expect(throws: CPUQueue<String>.Refusal.self) {
            try queue.add("r", method: 1, lane: .routine, deadline: far, now: start)
        }
    }

    @Test("What has expired while it waited is not run")
    func expired() throws {
        var queue = CPUQueue<String>(capacity: 5, workers: 1)
        _ = try queue.add("late", method: 1, lane: .routine, deadline: .after(.seconds(1), now: start), now: start)
        _ = try queue.add("fine", method: 1, lane: .routine, deadline: far, now: start)
        let later = start.advanced(by: .seconds(2))
        let taken = [name(queue.next(now: later)), name(queue.next(now: later))]
        #expect(taken == ["expired late", "fine"])
    }

    @Test("A job that could not end before its deadline is refused at once")
    func tooLate() throws {
        var queue = CPUQueue<String>(capacity: 100, workers: 1)
        let first = try queue.add("teaches", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        let now = start.advanced(by: .milliseconds(100))
        queue.finish(first, now: now)
        // A worker is busy for 100 ms more, two wait for 100 ms each: a fourth needs 400 ms.
        _ = try queue.add("running", method: 1, lane: .routine, deadline: far, now: now)
        _ = queue.next(now: now)
        for _ in 0..<2 { _ = try queue.add("waiting", method: 1, lane: .routine, deadline: far, now: now) }
        #expect(throws: CPUQueue<String>.Refusal.tooLate(needs: .milliseconds(400))) {
            try queue.add("late", method: 1, lane: .routine, deadline: .after(.milliseconds(399), now: now), now: now)
        }
        let inTime = Deadline.after(.milliseconds(400), now: now)
        _ = try queue.add("in time", method: 1, lane: .routine, deadline: inTime, now: now)
        // An emergency waits for what runs alone.
        let urgent = Deadline.after(.milliseconds(200), now: now)
        _ = try queue.add("urgent", method: 1, lane: .emergency, deadline: urgent, now: now)
    }

    @Test("An idle pool takes a job that the past speaks against, and learns from it")
    func heals() throws {
        var queue = CPUQueue<String>(capacity: 10, workers: 1)
        var now = start
        let slow = try queue.add("slow", method: 1, lane: .routine, deadline: far, now: now)
        _ = queue.next(now: now)
        now = now.advanced(by: .seconds(10))
        queue.finish(slow, now: now)
        let soon = Deadline.after(.milliseconds(100), now: now)
        let tried = try queue.add("tried", method: 1, lane: .routine, deadline: soon, now: now)
        #expect(tried > slow)
    }

    @Test("More workers wait less")
    func workers() throws {
        var queue = CPUQueue<String>(capacity: 100, workers: 2)
        let first = try queue.add("teaches", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        let now = start.advanced(by: .milliseconds(100))
        queue.finish(first, now: now)
        for _ in 0..<4 { _ = try queue.add("x", method: 1, lane: .routine, deadline: far, now: now) }
        #expect(throws: CPUQueue<String>.Refusal.tooLate(needs: .milliseconds(300))) {
            try queue.add("late", method: 1, lane: .routine, deadline: .after(.milliseconds(299), now: now), now: now)
        }
    }

    @Test("A job can be taken back until it runs")
    func remove() throws {
        var queue = CPUQueue<String>(capacity: 5, workers: 1)
        let a = try queue.add("a", method: 1, lane: .routine, deadline: far, now: start)
        let b = try queue.add("b", method: 1, lane: .emergency, deadline: far, now: start)
        let removed = [queue.remove(b), queue.remove(b)].map { $0?.payload }
        #expect(removed == ["b", nil])
        _ = queue.next(now: start)
        let running = queue.remove(a)?.payload
        #expect(running == nil)
    }
}
