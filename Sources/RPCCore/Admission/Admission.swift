import Synchronization

/// How a limit on calls at once is found.
package enum AdmissionLimit: Sendable, Hashable {
    /// As many as that; nil for no limit.
    case fixed(Int?)
    /// As many as the latency of calls allows.
    case adaptive(LatencyGradient.Policy)
}

/// Who may come in: of a method or of a whole process, in two lanes.
///
/// A fixed limit costs one atomic addition for a call. An adaptive one also learns from each call that ends: behind a
/// lock that is tried, never waited for, so a call that ends while another teaches is not learnt from.
package final class Admission: Sendable {
    private let gauge: LaneGauge
    private let gradient: Gradient?
    /// Nil for what does not judge by time.
    private let times: LeastLatency?

    /// - Parameter judgesTime: Whether calls that cannot end before their deadline are refused; an adaptive limit always does.
    package init(_ limit: AdmissionLimit, judgesTime: Bool = false, now: MonotonicInstant = .now) {
        switch limit {
        case .fixed(let places):
            gauge = LaneGauge(limit: places)
            gradient = nil
            times = judgesTime ? LeastLatency(now: now) : nil
        case .adaptive(let policy):
            gauge = LaneGauge(limit: policy.initial)
            gradient = Gradient(policy, now: now)
            times = LeastLatency(now: now)
        }
    }

    /// Calls under way.
    package var current: Int { gauge.current }
    /// Calls at once, as of now.
    package var places: Int { gauge.shares.limit }
    /// Whether calls that end teach it anything.
    package var learns: Bool { times != nil }

    package func enter(_ lane: Lane) -> Bool { gauge.enter(lane) }

    /// How much longer a call takes, at the least, than `remaining`, when it cannot end in time; else nil.
    ///
    /// With nothing under way, or when the last that is known is old, a call is let in all the same: an estimate that is
    /// wrong must be able to heal.
    package func shortfall(_ remaining: @autoclosure () -> Duration, now: MonotonicInstant) -> Duration? {
        guard let needs = times?.value(now: now) else { return nil }
        let left = remaining()
        return needs > left && gauge.current > 0 ? needs - left : nil
    }

    /// - Parameter ran: How long the call took since it came, and when it ended; nil for one that says nothing of how busy
    ///   the method is.
    package func leave(_ lane: Lane, ran: (latency: Duration, ended: MonotonicInstant)? = nil) {
        guard let ran, let times else { return gauge.leave(lane) }
        let inFlight = gauge.current
        gauge.leave(lane)
        times.record(ran.latency, ended: ran.ended)
        _ = gradient?.limiter.withLockIfAvailable { limiter in
            limiter.record(ran.latency, inFlight: inFlight, now: ran.ended)
            gauge.shares = limiter.shares
        }
    }

    private final class Gradient: Sendable {
        let limiter: Mutex<LatencyGradient>

        init(_ policy: LatencyGradient.Policy, now: MonotonicInstant) {
            limiter = Mutex(LatencyGradient(policy, now: now))
        }
    }
}
