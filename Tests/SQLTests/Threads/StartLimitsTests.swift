import Synchronization
import TestSupport
import Testing

@testable import SQL

@Suite struct StartLimitsTests {
    private typealias Instant = ContinuousClock.Instant
    private let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> Instant { start.advanced(by: .milliseconds(milliseconds)) }

    /// What has expired, by name.
    private final class Told: Sendable {
        let names = Mutex<[String]>([])
        func expiring(_ name: String) -> @Sendable () -> Void { { self.names.withLock { $0.append(name) } } }
        var all: [String] { names.withLock { $0 } }
    }

    private func look(_ waiting: inout WaitingStarts, for milliseconds: Int, now: Int) -> Instant? {
        let (expired, next) = waiting.look(for: at(milliseconds), now: at(now))
        for expire in expired { expire() }
        return next
    }

    @Test("Somebody looks when the first of them is over, and for nobody else before")
    func inOrder() {
        var (waiting, told) = (WaitingStarts(), Told())
        #expect(waiting.add(at(100), told.expiring("b")).isNext)
        #expect(!waiting.add(at(200), told.expiring("c")).isNext)
        #expect(waiting.add(at(50), told.expiring("a")).isNext)
        #expect(look(&waiting, for: 50, now: 50) == at(100) && told.all == ["a"])
        #expect(look(&waiting, for: 100, now: 250) == nil && told.all == ["a", "b", "c"] && waiting.count == 0)
        #expect(waiting.add(at(300), told.expiring("d")).isNext, "nobody looks any more")
    }

    @Test("Who looks too early looks again; whose instant is not the next one does not")
    func earlyAndStale() {
        var (waiting, told) = (WaitingStarts(), Told())
        _ = waiting.add(at(100), told.expiring("b"))
        #expect(look(&waiting, for: 100, now: 99) == at(100) && told.all.isEmpty)
        _ = waiting.add(at(50), told.expiring("a"))
        #expect(look(&waiting, for: 100, now: 10) == nil, "somebody looks at 50")
        #expect(look(&waiting, for: 50, now: 60) == at(100) && told.all == ["a"])
        #expect(look(&waiting, for: 100, now: 100) == nil && told.all == ["a", "b"])
    }

    @Test("Who began in time is told nothing, and nothing of it is kept until its time is over")
    func removed() {
        var (waiting, told) = (WaitingStarts(), Told())
        let (first, _) = waiting.add(at(10), told.expiring("first"))
        _ = waiting.add(at(20), told.expiring("second"))
        for _ in 0..<1000 { waiting.remove(waiting.add(at(1_000_000), told.expiring("never")).0) }
        waiting.remove(first)
        waiting.remove(first)
        #expect(waiting.count == 1 && waiting.kept <= 65)
        #expect(look(&waiting, for: 10, now: 10) == at(20) && told.all.isEmpty)
        #expect(look(&waiting, for: 20, now: 20) == nil && told.all == ["second"])
    }

    @Test("Whatever is added and removed, each expires once, not early, and nobody is forgotten")
    func anyOrder() {
        var (random, waiting, told) = (SeededRandom("StartLimitsTests.anyOrder"), WaitingStarts(), Told())
        var open: [String: (WaitingStarts.ID, Int)] = [:]
        var (looks, expected): (Set<Int>, Set<String>) = ([], [])
        for now in 0..<3000 {
            if Bool.random(using: &random) {
                let (name, end) = ("\(now)", now + Int.random(in: 0...200, using: &random))
                let (id, isNext) = waiting.add(at(end), told.expiring(name))
                open[name] = (id, end)
                if isNext { looks.insert(end) }
            }
            if Int.random(in: 0..<4, using: &random) == 0, let (name, (id, _)) = open.randomElement(using: &random) {
                waiting.remove(id)
                open[name] = nil
            }
            for due in looks.filter({ $0 <= now }).sorted() {
                looks.remove(due)
                let next = look(&waiting, for: due, now: now)
                if let next { looks.insert(Int(start.duration(to: next) / .milliseconds(1))) }
            }
            for (name, (_, end)) in open where end <= now {
                expected.insert(name)
                open[name] = nil
            }
            #expect(waiting.count == open.count, "seed \(random.seed), at \(now)")
        }
        #expect(told.all.count == expected.count && Set(told.all) == expected && expected.count > 100, "seed \(random.seed)")
    }

    @Test("The timer wakes for each in turn, and for none that began in time")
    func theTimerWakes() async {
        let limits = StartLimits()
        let (stream, told) = AsyncStream<Int>.makeStream()
        let now = ContinuousClock.now
        for wait in [15, 5, 10] {
            _ = limits.add(now.advanced(by: .milliseconds(wait))) { told.yield(wait) }
        }
        limits.remove(limits.add(now.advanced(by: .milliseconds(7))) { told.yield(7) })
        var heard: [Int] = []
        for await wait in stream {
            heard.append(wait)
            if wait == 15 { break }
        }
        #expect(heard == [5, 10, 15])
    }
}
