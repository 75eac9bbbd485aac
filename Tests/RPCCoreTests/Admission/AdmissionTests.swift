import RPCCore
import Testing

@Suite struct AdmissionTests {
    private let start = MonotonicInstant.now

    private func at(_ milliseconds: Int) -> MonotonicInstant { start.advanced(by: .milliseconds(milliseconds)) }

    /// Has learnt that a call takes 20 ms at least.
    private func taught(_ limit: AdmissionLimit = .adaptive(LatencyGradient.Policy())) -> Admission {
        let admission = Admission(limit, judgesTime: true, now: start)
        for index in 1...40 {
            _ = admission.enter(.routine)
            admission.leave(.routine, ran: (.milliseconds(20 + index % 5), at(index * 10)))
        }
        return admission
    }

    @Test(
        "A call with less time left than any took lately is refused, with how much it lacks",
        arguments: [.adaptive(LatencyGradient.Policy()), .fixed(64), .fixed(nil)] as [AdmissionLimit])
    func tooLate(limit: AdmissionLimit) {
        let admission = taught(limit)
        _ = admission.enter(.routine)
        #expect(admission.shortfall(.milliseconds(15), now: at(500)) == .milliseconds(5))
        #expect(admission.shortfall(.milliseconds(20), now: at(500)) == nil)
    }

    @Test("With nothing under way it is tried, so that a wrong estimate heals")
    func heals() {
        #expect(taught().shortfall(.milliseconds(1), now: at(500)) == nil)
    }

    @Test("What was learnt long ago keeps nobody out, though one call of then still hangs")
    func forgets() {
        let admission = taught()
        _ = admission.enter(.routine)
        #expect(admission.shortfall(.milliseconds(1), now: at(1300)) != nil)
        #expect(admission.shortfall(.milliseconds(1), now: at(1500)) == nil)
    }

    @Test("A handful of calls is no measure of a method")
    func few() {
        let admission = Admission(.fixed(nil), judgesTime: true, now: start)
        for index in 1...15 {
            _ = admission.enter(.routine)
            admission.leave(.routine, ran: (.seconds(3), at(index * 100)))
        }
        _ = admission.enter(.routine)
        #expect(admission.shortfall(.milliseconds(1), now: at(1500)) == nil)
    }

    @Test("Where something else judges by time, a fixed limit knows nothing of it, and stays")
    func fixed() {
        let admission = Admission(.fixed(4), now: start)
        for index in 1...100 {
            _ = admission.enter(.routine)
            admission.leave(.routine, ran: (.seconds(index), at(index * 100)))
        }
        _ = admission.enter(.routine)
        #expect(admission.shortfall(.zero, now: at(10_000)) == nil)
        #expect(admission.places == 4 && admission.current == 1)
    }

    @Test("An adaptive limit narrows as calls take longer, and keeps a fifth for emergencies")
    func adaptive() {
        let admission = Admission(.adaptive(LatencyGradient.Policy()), now: start)
        let places = admission.places
        var now = start
        var arrivals: [MonotonicInstant] = []
        for _ in 1...20_000 {
            while admission.enter(.routine) { arrivals.append(now) }
            // Eight can be worked on at once, 10 ms each; who comes beyond them waits.
            now = now.advanced(by: .milliseconds(10) / min(arrivals.count, 8))
            let latency = arrivals.removeFirst().duration(to: now)
            admission.leave(.routine, ran: (max(latency, .milliseconds(10)), now))
        }
        #expect(admission.places < places / 4)
        #expect(admission.enter(.emergency))
    }

    /// A service whose calls take 2 s since what it asks is slow, full of routine calls for as long as the body says.
    private func crowded(_ policy: LatencyGradient.Policy, until end: Duration, _ body: (Admission, Duration) -> Void) {
        let admission = Admission(.adaptive(policy), now: start)
        var arrivals: [MonotonicInstant] = []
        var now = start
        while start.duration(to: now) < end {
            while let first = arrivals.first, first.duration(to: now) >= .seconds(2) {
                arrivals.removeFirst()
                admission.leave(.routine, ran: (first.duration(to: now), now))
            }
            // More than there is room for, and not all at one instant.
            for _ in 0..<3 where admission.enter(.routine) { arrivals.append(now) }
            body(admission, start.duration(to: now))
            now = now.advanced(by: .milliseconds(5))
        }
    }

    @Test("Emergencies keep their fifth while an adaptive limit measures itself, and when it is at its least")
    func emergenciesWhileItMeasures() {
        let policy = LatencyGradient.Policy()
        var (narrowest, least) = (Int.max, Int.max)
        crowded(policy, until: .seconds(90)) { admission, _ in
            narrowest = min(narrowest, admission.places)
            var entered = 0
            while admission.enter(.emergency) { entered += 1 }
            least = min(least, entered)
            for _ in 0..<entered { admission.leave(.emergency) }
        }
        #expect(narrowest == policy.minimum, "it did measure itself")
        #expect(least >= policy.minimum / 5 && least >= 1, "an emergency was refused")
    }

    @Test("The fifth that emergencies keep in a probe is that of the limit before it")
    func fifthOfTheWhole() {
        var before = 0
        var inProbe: [(entered: Int, before: Int)] = []
        crowded(LatencyGradient.Policy(), until: .seconds(90)) { admission, _ in
            guard admission.places == LatencyGradient.Policy().minimum else { return before = admission.places }
            var entered = 0
            while admission.enter(.emergency) { entered += 1 }
            inProbe.append((entered, before))
            for _ in 0..<entered { admission.leave(.emergency) }
        }
        #expect(inProbe.contains { $0.before > 50 })
        #expect(inProbe.allSatisfy { $0.entered >= $0.before / 5 }, "\(inProbe.filter { $0.entered < $0.before / 5 }.prefix(3))")
    }
}
