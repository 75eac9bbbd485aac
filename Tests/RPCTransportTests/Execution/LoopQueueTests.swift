import NIOCore
import NIOEmbedded
import RPCCore
import Testing

@testable import RPCTransport

/// One event loop and its clock, both moved by the test; each piece of work takes as long as it says.
@Suite struct LoopQueueTests {
    private final class Bench {
        let loop = EmbeddedEventLoop()
        var now = MonotonicInstant.now
        var seen: [String] = []
        private(set) lazy var queue = LoopQueue(loop) { [unowned self] in now }

        func add(
            _ name: String, _ lane: Lane = .routine, takes: Duration = .microseconds(300),
            timeout: Duration = .seconds(5)
        ) throws -> UInt64 {
            let context = CallContext(
                method: .test("Inline", execution: .sync, cost: .inline(limit: 10)),
                peer: try #require(PeerIdentity(service: "gateway")), deadline: .after(timeout, now: now), lane: lane,
                requestID: "req_1")
            return try queue.add(context, now: now) { [unowned self] turn in
                seen.append(turn == .run ? name : "\(name) \(turn)")
                if turn == .run { now = now + takes }
            }
        }

        /// One turn of the loop: what has come from the sockets would be read before it.
        func turn() { loop.advanceTime(by: .microseconds(20)) }
    }

    @Test("A call runs at once while nothing waits, and a slice after it was read no more")
    func free() {
        let bench = Bench()
        #expect(bench.queue.isFree(for: .routine, waited: .zero))
        #expect(bench.queue.isFree(for: .routine, waited: LoopQueue.slice - .nanoseconds(1)))
        #expect(!bench.queue.isFree(for: .routine, waited: LoopQueue.slice))
    }

    @Test("While routine calls wait, routine calls wait behind them, and emergencies do not")
    func emergency() throws {
        let bench = Bench()
        _ = try bench.add("a")
        #expect(!bench.queue.isFree(for: .routine, waited: .zero))
        #expect(bench.queue.isFree(for: .emergency, waited: .seconds(1)))
    }

    @Test("Work is done in slices, with a turn of the loop between them")
    func slices() throws {
        let bench = Bench()
        for name in ["a", "b", "c", "d", "e"] { _ = try bench.add(name) }
        #expect(bench.seen.isEmpty, "nothing runs while a burst is being read")
        bench.turn()
        #expect(bench.seen == ["a", "b"], "two of 300 us are a slice of 500 us")
        bench.turn()
        #expect(bench.seen == ["a", "b", "c", "d"])
        bench.turn()
        bench.turn()
        #expect(bench.seen == ["a", "b", "c", "d", "e"])
        #expect(bench.queue.isFree(for: .routine, waited: .zero))
    }

    @Test("A flood of emergencies loses its right of way, then shares the loop, then has it back")
    func flood() throws {
        let bench = Bench()
        _ = try bench.add("r", takes: LoopQueue.allowance)
        bench.queue.runAhead { bench.now = bench.now + (LoopQueue.allowance - .microseconds(1)) }
        #expect(bench.queue.isFree(for: .emergency, waited: .zero))
        bench.queue.runAhead { bench.now = bench.now + .microseconds(1) }
        #expect(!bench.queue.isFree(for: .emergency, waited: .zero))
        _ = try bench.add("e", .emergency)
        bench.turn()
        #expect(bench.seen == ["r"], "it is the routine call's turn")
        bench.turn()
        #expect(bench.seen == ["r", "e"])
        _ = try bench.add("r2")
        #expect(bench.queue.isFree(for: .emergency, waited: .zero))
    }

    @Test("What waited too long or beyond its deadline is given back, and what was taken out is not called")
    func givenBack() throws {
        let bench = Bench()
        _ = try bench.add("late", timeout: .milliseconds(50))
        _ = try bench.add("overdue")
        let gone = try bench.add("gone")
        #expect(bench.queue.remove(gone))
        #expect(!bench.queue.remove(gone))
        bench.now = bench.now + (LoopQueue.longestWait * 2)
        bench.turn()
        #expect(bench.seen == ["late expired", "overdue overdue"])
    }

    @Test("What would wait longer than a call of microseconds may is refused at once, with advice")
    func refusal() throws {
        let bench = Bench()
        _ = try bench.add("teaches", takes: .milliseconds(30))
        bench.turn()
        var refusals: [QueueRefusal] = []
        for _ in 0..<10 {
            do {
                _ = try bench.add("r", takes: .milliseconds(30))
            } catch let refusal as QueueRefusal {
                refusals.append(refusal)
            }
        }
        // Four wait for 90 ms and less; one more would for 120 ms.
        #expect(refusals == Array(repeating: .full(retryAfter: .milliseconds(20)), count: 6))
        _ = try bench.add("e", .emergency)
    }
}
