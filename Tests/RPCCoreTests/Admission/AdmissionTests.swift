import RPCCore
import Testing

@Suite struct AdmissionTests {
    private let start = MonotonicInstant.now

    private func at(_ milliseconds: Int) -> MonotonicInstant { start.advanced(by: .milliseconds(milliseconds)) }

    /// Has learnt that a call takes 20 ms at least.
    private func taught() -> Admission {
        let admission = Admission(.adaptive(LatencyGradient.Policy()), now: start)
        for index in 1...40 {
            _ = admission.enter(.routine)
            admission.leave(.routine, latency: .milliseconds(20 + index % 5), now: at(index * 10))
        }
        return admission
    }

    @Test("A call with less time left than any took lately is refused, with how much it lacks")
    func tooLate() {
        let admission = taught()
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

    @Test("A fixed limit knows nothing of time, and stays")
    func fixed() {
        let admission = Admission(.fixed(4), now: start)
        for index in 1...100 {
            _ = admission.enter(.routine)
            admission.leave(.routine, latency: .seconds(index), now: at(index * 100))
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
            admission.leave(.routine, latency: max(latency, .milliseconds(10)), now: now)
        }
        #expect(admission.places < places / 4)
        #expect(admission.enter(.emergency))
    }
}
