import RPCCore
import RPCTransport
import TestSupport
import Testing

@Suite struct CPUQueueTests {
    private let start = MonotonicInstant.now
    private var far: Deadline { .after(.seconds(60), now: start) }

    private func queue(
        capacity: Int, workers: Int, longestWait: Duration = .seconds(60), allowance: Duration = .seconds(1)
    ) -> CPUQueue<String> {
        CPUQueue(
            QueuePolicy(capacity: capacity, workers: workers, longestWait: longestWait, allowance: allowance))
    }

    private func name(_ next: CPUQueue<String>.Next?) -> String? {
        switch next {
        case .run(let job): job.payload
        case .expired(let job): "expired \(job.payload)"
        case .overdue(let job): "overdue \(job.payload)"
        case nil: nil
        }
    }

    @Test("Emergency goes first, then the order of arrival")
    func order() throws {
        var queue = queue(capacity: 10, workers: 1)
        _ = try queue.add("a", method: 1, lane: .routine, deadline: far, now: start)
        _ = try queue.add("b", method: 1, lane: .routine, deadline: far, now: start)
        _ = try queue.add("urgent", method: 1, lane: .emergency, deadline: far, now: start)
        let taken = (0..<4).map { _ in name(queue.next(now: start)) }
        #expect(taken == ["urgent", "a", "b", nil])
    }

    @Test("A fifth of the places is for emergencies alone")
    func share() throws {
        var queue = queue(capacity: 10, workers: 1)
        for _ in 0..<8 { _ = try queue.add("r", method: 1, lane: .routine, deadline: far, now: start) }
        #expect(throws: QueueRefusal.full(retryAfter: .milliseconds(1))) {
            try queue.add("one too many", method: 1, lane: .routine, deadline: far, now: start)
        }
        for _ in 0..<2 { _ = try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start) }
        #expect(queue.waiting == 10)
        #expect(throws: QueueRefusal.self) {
            try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start)
        }
    }

    @Test("A flood of emergencies leaves half of the places")
    func emergencyFills() throws {
        var queue = queue(capacity: 10, workers: 1)
        for _ in 0..<5 { _ = try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start) }
        #expect(throws: QueueRefusal.self) {
            try queue.add("e", method: 1, lane: .emergency, deadline: far, now: start)
        }
        for _ in 0..<5 { _ = try queue.add("r", method: 1, lane: .routine, deadline: far, now: start) }
    }

    /// Both lanes always have jobs of 100 ms waiting; how many of each one worker does.
    private func contest(_ turns: Int, allowance: Duration) throws -> [String: Int] {
        var queue = queue(capacity: 100, workers: 1, allowance: allowance)
        var (now, done) = (start, [String: Int]())
        for _ in 0..<turns {
            for lane in [Lane.routine, .emergency] where queue.waiting(lane) < 3 {
                _ = try queue.add("\(lane)", method: 1, lane: lane, deadline: .after(.seconds(60), now: now), now: now)
            }
            guard case .run(let job)? = queue.next(now: now) else { break }
            done[job.payload, default: 0] += 1
            now = now.advanced(by: .milliseconds(100))
            queue.finish(job.id, now: now)
        }
        return done
    }

    @Test("A flood of emergencies leaves routine work half of the worker's time, once it has had its lead")
    func flood() throws {
        #expect(try contest(10, allowance: .seconds(1)) == ["emergency": 10])
        let long = try contest(210, allowance: .seconds(1))
        #expect(long == ["emergency": 110, "routine": 100])
    }

    @Test("Emergencies that are few always go first, however much routine work there is")
    func fewGoFirst() throws {
        var queue = queue(capacity: 100, workers: 1, allowance: .milliseconds(200))
        var now = start
        for turn in 0..<200 {
            while queue.waiting(.routine) < 50 {
                _ = try queue.add(
                    "r", method: 1, lane: .routine, deadline: .after(.seconds(60), now: now), now: now)
            }
            let isUrgent = turn % 3 == 0
            if isUrgent {
                let soon = Deadline.after(.milliseconds(300), now: now)
                _ = try queue.add("e", method: 1, lane: .emergency, deadline: soon, now: now)
            }
            guard case .run(let job)? = queue.next(now: now) else { break }
            #expect(job.payload == (isUrgent ? "e" : "r"), "turn \(turn)")
            now = now.advanced(by: .milliseconds(100))
            queue.finish(job.id, now: now)
        }
    }

    @Test("ASVS 15.2.2: Routine work that would wait too long is refused, whatever its deadline; an emergency is not")
    func longestWait() throws {
        var queue = queue(capacity: 100, workers: 1, longestWait: .milliseconds(250))
        let first = try queue.add("teaches", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        let now = start.advanced(by: .milliseconds(100))
        queue.finish(first, now: now)
        for _ in 0..<3 { _ = try queue.add("r", method: 1, lane: .routine, deadline: far, now: now) }
        #expect(throws: QueueRefusal.full(retryAfter: .milliseconds(50))) {
            try queue.add("r", method: 1, lane: .routine, deadline: far, now: now)
        }
        _ = try queue.add("e", method: 1, lane: .emergency, deadline: far, now: now)
    }

    @Test("What came before anybody knew how long it takes does not run late: it is given back")
    func overdue() throws {
        var queue = queue(capacity: 100, workers: 1, longestWait: .seconds(1))
        for name in ["first", "second", "third"] {
            _ = try queue.add(name, method: 1, lane: .routine, deadline: far, now: start)
        }
        _ = try queue.add("urgent", method: 2, lane: .emergency, deadline: far, now: start)
        let urgent = queue.next(now: start)
        #expect(name(urgent) == "urgent")
        let later = start.advanced(by: .milliseconds(1251))
        let taken = (0..<4).map { _ in name(queue.next(now: later)) }
        #expect(taken == ["overdue first", "overdue second", "overdue third", nil])
    }

    @Test("The first of its kind to run teaches what those behind it will take, before it has ended")
    func unknown() throws {
        var queue = queue(capacity: 100, workers: 1, longestWait: .milliseconds(300))
        let first = try queue.add("first", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        _ = try queue.add("second", method: 1, lane: .routine, deadline: far, now: start)
        let now = start.advanced(by: .milliseconds(400))
        #expect(throws: QueueRefusal.self, "the second takes 400 ms at least") {
            try queue.add("third", method: 1, lane: .routine, deadline: far, now: now)
        }
        queue.finish(first, now: now)
        #expect(throws: QueueRefusal.full(retryAfter: .milliseconds(100)), "one of 400 ms waits") {
            try queue.add("third", method: 1, lane: .routine, deadline: far, now: now)
        }
    }

    @Test("Whatever comes and goes, in whatever order, is accounted for exactly once", arguments: [1, 2, 3])
    func anyOrder(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var queue = queue(capacity: 20, workers: 2, longestWait: .milliseconds(500))
        var now = start
        var (taken, ended) = (Set<UInt64>(), Set<UInt64>())
        var running: [UInt64] = []
        for _ in 0..<3000 {
            now = now.advanced(by: .milliseconds(Int.random(in: 0...40, using: &random)))
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let lane: Lane = Bool.random(using: &random) ? .routine : .emergency
                let deadline = Deadline.after(.milliseconds(Int.random(in: 1...800, using: &random)), now: now)
                let method = UInt32.random(in: 1...3, using: &random)
                if let id = try? queue.add("", method: method, lane: lane, deadline: deadline, now: now) {
                    taken.insert(id)
                }
            case 2 where running.count < 2:
                switch queue.next(now: now) {
                case .run(let job): running.append(job.id)
                case .expired(let job), .overdue(let job): #expect(ended.insert(job.id).inserted)
                case nil: #expect(queue.isEmpty)
                }
            case 3:
                guard let id = running.popLast() else { break }
                queue.finish(id, now: now)
                #expect(ended.insert(id).inserted)
            default:
                guard let id = taken.randomElement(using: &random), let job = queue.remove(id) else { break }
                #expect(job.id == id)
                #expect(ended.insert(id).inserted)
            }
            #expect(taken.count == ended.count + running.count + queue.waiting)
            #expect(queue.waiting <= 20)
        }
    }

    @Test("What has expired while it waited is not run")
    func expired() throws {
        var queue = queue(capacity: 5, workers: 1)
        _ = try queue.add("late", method: 1, lane: .routine, deadline: .after(.seconds(1), now: start), now: start)
        _ = try queue.add("fine", method: 1, lane: .routine, deadline: far, now: start)
        let later = start.advanced(by: .seconds(2))
        let taken = [name(queue.next(now: later)), name(queue.next(now: later))]
        #expect(taken == ["expired late", "fine"])
    }

    @Test("A job that could not end before its deadline is refused at once")
    func tooLate() throws {
        var queue = queue(capacity: 100, workers: 1)
        let first = try queue.add("teaches", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        let now = start.advanced(by: .milliseconds(100))
        queue.finish(first, now: now)
        // A worker is busy for 100 ms more, two wait for 100 ms each: a fourth needs 400 ms.
        _ = try queue.add("running", method: 1, lane: .routine, deadline: far, now: now)
        _ = queue.next(now: now)
        for _ in 0..<2 { _ = try queue.add("waiting", method: 1, lane: .routine, deadline: far, now: now) }
        #expect(throws: QueueRefusal.tooLate(needs: .milliseconds(400))) {
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
        var queue = queue(capacity: 10, workers: 1)
        var now = start
        let slow = try queue.add("slow", method: 1, lane: .routine, deadline: far, now: now)
        _ = queue.next(now: now)
        now = now.advanced(by: .seconds(10))
        queue.finish(slow, now: now)
        let soon = Deadline.after(.milliseconds(100), now: now)
        let tried = try queue.add("tried", method: 1, lane: .routine, deadline: soon, now: now)
        #expect(tried > slow)
    }

    @Test("One slow run among quick ones, the first too, turns nobody away for long", arguments: [0, 50])
    func outlier(at slow: Int) throws {
        var queue = queue(capacity: 4096, workers: 1, longestWait: .milliseconds(100))
        var now = start
        for _ in 0..<1000 { _ = try queue.add("x", method: 1, lane: .routine, deadline: far, now: now) }
        for index in 0..<100 {
            guard case .run(let job) = queue.next(now: now) else {
                Issue.record("nothing to run")
                return
            }
            now = now.advanced(by: index == slow ? .milliseconds(3) : .microseconds(5))
            queue.finish(job.id, now: now)
            // Nobody comes at the moment when the first one is all that is known.
            guard index > slow + 40 || index < slow else { continue }
            _ = try queue.add("y", method: 1, lane: .routine, deadline: far, now: now)
        }
    }

    @Test("Jobs that have become slower are known after a few")
    func slower() throws {
        var queue = queue(capacity: 4096, workers: 1, longestWait: .milliseconds(100))
        var now = start
        for index in 0..<60 {
            _ = try queue.add("x", method: 1, lane: .routine, deadline: far, now: now)
            guard case .run(let job) = queue.next(now: now) else {
                Issue.record("nothing to run")
                return
            }
            now = now.advanced(by: index < 30 ? .microseconds(5) : .milliseconds(20))
            queue.finish(job.id, now: now)
        }
        for _ in 0..<10 { _ = try? queue.add("x", method: 1, lane: .routine, deadline: far, now: now) }
        #expect((5...7).contains(queue.waiting), "\(queue.waiting) of 20 ms wait")
    }

    @Test("More workers wait less")
    func workers() throws {
        var queue = queue(capacity: 100, workers: 2)
        let first = try queue.add("teaches", method: 1, lane: .routine, deadline: far, now: start)
        _ = queue.next(now: start)
        let now = start.advanced(by: .milliseconds(100))
        queue.finish(first, now: now)
        for _ in 0..<4 { _ = try queue.add("x", method: 1, lane: .routine, deadline: far, now: now) }
        #expect(throws: QueueRefusal.tooLate(needs: .milliseconds(300))) {
            try queue.add("late", method: 1, lane: .routine, deadline: .after(.milliseconds(299), now: now), now: now)
        }
    }

    @Test("A job can be taken back until it runs")
    func remove() throws {
        var queue = queue(capacity: 5, workers: 1)
        let a = try queue.add("a", method: 1, lane: .routine, deadline: far, now: start)
        let b = try queue.add("b", method: 1, lane: .emergency, deadline: far, now: start)
        let removed = [queue.remove(b), queue.remove(b)].map { $0?.payload }
        #expect(removed == ["b", nil])
        _ = queue.next(now: start)
        let running = queue.remove(a)?.payload
        #expect(running == nil)
    }
}
