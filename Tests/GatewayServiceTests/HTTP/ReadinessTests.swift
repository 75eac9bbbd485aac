import Synchronization
import Testing

@testable import GatewayService

@Suite(.timeLimit(.minutes(1))) struct ReadinessTests {
    final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func add() { count.withLock { $0 += 1 } }
    }

    /// A check that waits until it may answer.
    final class Gate: Sendable {
        let asked = Counter()
        private let (opened, opener) = AsyncStream.makeStream(of: Void.self)
        private let (entered, entry) = AsyncStream.makeStream(of: Void.self)

        func open() { opener.finish() }

        func awaitEntry() async {
            for await _ in entered { return }
        }

        func check() async -> Bool {
            asked.add()
            entry.yield()
            for await _ in opened {}
            return false
        }
    }

    @Test func allWhoAskMeanwhileAreOneQuestion() async {
        let (gate, time, started) = (Gate(), ManualTime(), Counter())
        let readiness = Readiness([ReadinessCheck("auth") { await gate.check() }]) { time.time.now }
        await withTaskGroup(of: [String].self) { group in
            group.addTask { await readiness.missing() }
            await gate.awaitEntry()
            for _ in 0..<100 {
                group.addTask {
                    started.add()
                    return await readiness.missing()
                }
            }
            while started.value < 100 { await Task.yield() }
            gate.open()
            for await missing in group { #expect(missing == ["auth"]) }
        }
        #expect(gate.asked.value == 1)
    }

    /// A peer that is down takes the whole second of its check; the verdict is as fresh as its end.
    @Test func aVerdictIsKeptFromWhenItWasFound() async {
        let (asked, time) = (Counter(), ManualTime())
        let readiness = Readiness([
            ReadinessCheck("auth") {
                asked.add()
                time.advance(by: .seconds(1))
                return false
            }
        ]) { time.time.now }
        #expect(await readiness.missing() == ["auth"])
        time.advance(by: .milliseconds(999))
        #expect(await readiness.missing() == ["auth"])
        #expect(asked.value == 1)
        time.advance(by: .milliseconds(1))
        #expect(await readiness.missing() == ["auth"])
        #expect(asked.value == 2)
    }

    /// Whoever asks every second does not fill the log: a verdict is told when it is another.
    @Test func aChangeIsToldOnce() async {
        let time = ManualTime()
        let isThere = Mutex(true)
        let told = Mutex<[[String]]>([])
        let readiness = Readiness(
            [ReadinessCheck("auth") { isThere.withLock { $0 } }], now: { time.time.now },
            changed: { missing in told.withLock { $0.append(missing) } })
        for there in [true, true, false, false, true, true] {
            isThere.withLock { $0 = there }
            _ = await readiness.missing()
            time.advance(by: .seconds(2))
        }
        #expect(told.withLock { $0 } == [["auth"], []])
    }
}
