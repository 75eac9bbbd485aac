import RPCCore
import TestSupport
import Testing

/// Each test is a service in virtual time: so many workers, each call takes its time, those let in wait in line.
@Suite struct LatencyGradientTests {
    private struct Service {
        let start = MonotonicInstant.now
        var limiter: LatencyGradient
        var workers = 8
        var time = Duration.milliseconds(10)
        private(set) var now: MonotonicInstant
        private(set) var admitted = 0
        private(set) var refused = 0
        private(set) var latencies: [Duration] = []
        /// When each worker is free.
        private var free: [MonotonicInstant]
        private var inside: [(arrived: MonotonicInstant, ends: MonotonicInstant)] = []

        init(_ policy: LatencyGradient.Policy = LatencyGradient.Policy()) {
            now = start
            limiter = LatencyGradient(policy, now: start)
            free = Array(repeating: start, count: workers)
        }

        /// Calls come at even distances.
        mutating func offer(perSecond rate: Int, for span: Duration) {
            (admitted, refused, latencies) = (0, 0, [])
            let end = now.advanced(by: span)
            let gap = Duration.seconds(1) / rate
            while now < end {
                now = now.advanced(by: gap)
                leave()
                if inside.count < limiter.limit { enter() } else { refused += 1 }
            }
        }

        /// Calls a second that the workers can do.
        var capacity: Int { workers * Int(Duration.seconds(1) / time) }

        private mutating func enter() {
            admitted += 1
            let worker = free.indices.min { free[$0] < free[$1] } ?? 0
            free[worker] = max(free[worker], now).advanced(by: time)
            inside.append((now, free[worker]))
        }

        private mutating func leave() {
            while let index = inside.firstIndex(where: { $0.ends <= now }) {
                let call = inside[index]
                let latency = call.arrived.duration(to: call.ends)
                latencies.append(latency)
                limiter.record(latency, inFlight: inside.count, now: call.ends)
                inside.remove(at: index)
            }
        }

        var slowest: Duration { latencies.max() ?? .zero }
    }

    @Test("At five times what it can do, a service stays busy and its calls stay quick")
    func overload() {
        var service = Service()
        service.offer(perSecond: service.capacity * 5, for: .seconds(5))
        service.offer(perSecond: service.capacity * 5, for: .seconds(20))
        #expect(service.slowest < .milliseconds(40), "\(service.slowest), limit \(service.limiter.limit)")
        #expect(service.admitted > service.capacity * 20 * 9 / 10, "\(service.admitted) of \(service.capacity * 20)")
    }

    @Test("Minutes of overload do not pass for the best that there is")
    func drift() {
        var service = Service()
        service.offer(perSecond: service.capacity * 2, for: .seconds(240))
        service.offer(perSecond: service.capacity * 2, for: .seconds(60))
        #expect(service.slowest < .milliseconds(50), "\(service.slowest), limit \(service.limiter.limit)")
        #expect(service.admitted > service.capacity * 60 * 9 / 10)
    }

    @Test("Below what it can do nothing is refused")
    func calm() {
        var service = Service()
        service.offer(perSecond: service.capacity / 2, for: .seconds(120))
        #expect(service.refused == 0)
    }

    @Test("A dependency that slows down narrows the limit; when it is well again, so are the calls")
    func dependency() {
        var policy = LatencyGradient.Policy()
        policy.initial = 64
        var service = Service(policy)
        service.workers = 8
        service.offer(perSecond: service.capacity, for: .seconds(5))
        let before = service.limiter.limit
        service.time = .milliseconds(100)
        service.offer(perSecond: 800, for: .seconds(10))
        let sick = service.limiter.limit
        #expect(sick < before / 2, "\(before), then \(sick)")
        service.time = .milliseconds(10)
        service.offer(perSecond: 700, for: .seconds(2))
        service.offer(perSecond: 700, for: .seconds(10))
        #expect(service.refused == 0, "limit \(service.limiter.limit)")
        #expect(service.slowest < .milliseconds(40))
    }

    @Test("A limit that nobody reaches does not change")
    func idle() {
        let start = MonotonicInstant.now
        var limiter = LatencyGradient(now: start)
        for index in 1...10_000 {
            let latency = Duration.milliseconds(index % 100 + 1)
            limiter.record(latency, inFlight: 3, now: start.advanced(by: .milliseconds(index * 10)))
        }
        #expect(limiter.limit == LatencyGradient.Policy().initial)
    }

    @Test("It never leaves its bounds, whatever the latencies")
    func bounds() {
        let start = MonotonicInstant.now
        let policy = LatencyGradient.Policy(maximum: 50)
        var limiter = LatencyGradient(policy, now: start)
        var random = SeededRandom("bounds")
        for index in 1...50_000 {
            let latency = Duration.microseconds(Int.random(in: 0...1_000_000, using: &random))
            limiter.record(latency, inFlight: limiter.limit, now: start.advanced(by: .milliseconds(index * 7)))
            #expect((policy.minimum...policy.maximum).contains(limiter.limit))
        }
    }

    @Test("A probe that emergencies make busy betters what is known, and does not worsen it")
    func disturbed() {
        let policy = LatencyGradient.Policy()
        func limit(afterProbeAt latency: Duration, inFlight: Int) -> Int {
            let start = MonotonicInstant.now
            var limiter = LatencyGradient(policy, now: start)
            var now = start
            func window(_ latency: Duration, _ inFlight: Int, _ calls: Int = policy.samples) {
                now = now.advanced(by: policy.window + latency)
                for _ in 0..<calls { limiter.record(latency, inFlight: inFlight, now: now) }
            }
            while limiter.limit != policy.minimum { window(.milliseconds(10), limiter.limit) }
            // A flood lasts, and the end of what came before the probe does not: that is passed over.
            window(.seconds(9), 100, 100)
            window(latency, inFlight, 1000)
            // As slow as the probe was: all is well for whoever took that for the best there is.
            for _ in 0..<10 { window(.milliseconds(100), limiter.limit) }
            return limiter.limit
        }
        let quiet = limit(afterProbeAt: .milliseconds(100), inFlight: policy.minimum)
        let busy = limit(afterProbeAt: .milliseconds(100), inFlight: 60)
        #expect(quiet > 256, "the service is slower than it was, says a probe")
        #expect(busy < 64, "\(busy): a flood is no measure")
    }
}
