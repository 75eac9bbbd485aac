import RPCCore
import Testing

@Suite struct LeastLatencyTests {
    private let start = MonotonicInstant.now

    @Test("What a call takes at the least is known after a window, and follows the service")
    func follows() {
        let times = LeastLatency(now: start)
        var now = start
        func calls(_ milliseconds: Int) {
            for index in 0..<40 {
                now = now.advanced(by: .milliseconds(10))
                times.record(.milliseconds(milliseconds + index % 3), ended: now)
            }
        }
        #expect(times.value(now: now) == nil)
        calls(10)
        #expect(times.value(now: now) == .milliseconds(10))
        calls(30)
        #expect(times.value(now: now) == .milliseconds(30))
        #expect(times.value(now: now.advanced(by: .seconds(2))) == nil, "what was learnt long ago")
    }

    @Test("Calls that end on many threads at once leave a time that one of them took")
    func manyThreads() async {
        let times = LeastLatency(now: start)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    for index in 1...20_000 {
                        times.record(.microseconds(1000 + thread), ended: start.advanced(by: .microseconds(index * 100)))
                    }
                }
            }
        }
        let value = times.value(now: start.advanced(by: .seconds(2)))
        #expect(value.map { (.microseconds(1000) ... .microseconds(1003)).contains($0) } == true, "\(String(describing: value))")
    }
}
