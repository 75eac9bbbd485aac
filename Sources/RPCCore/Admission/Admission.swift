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
    private let learner: Learner?
    /// Nanoseconds that calls took at least of late.
    private let least = Atomic<Int64>(0)
    /// When that was learnt, nanoseconds of the clock.
    private let learnt = Atomic<UInt64>(0)

    /// How long what was learnt is believed. Who is refused for it teaches nothing: a stall that is over, with one call of it
    /// that still hangs, would keep everybody out.
    private static let memory = Duration.seconds(1)

    package init(_ limit: AdmissionLimit, now: MonotonicInstant = .now) {
        switch limit {
        case .fixed(let places):
            gauge = LaneGauge(limit: places)
            learner = nil
        case .adaptive(let policy):
            gauge = LaneGauge(limit: policy.initial)
            learner = Learner(policy, now: now)
        }
    }

    /// Calls under way.
    package var current: Int { gauge.current }
    /// Calls at once, as of now.
    package var places: Int { gauge.places }
    package var isAdaptive: Bool { learner != nil }

    package func enter(_ lane: Lane) -> Bool { gauge.enter(lane) }

    /// How much longer a call takes, at the least, than `remaining`, when it cannot end in time; else nil.
    ///
    /// With nothing under way, or when the last that is known is old, a call is let in all the same: an estimate that is
    /// wrong must be able to heal.
    package func shortfall(_ remaining: @autoclosure () -> Duration, now: MonotonicInstant) -> Duration? {
        guard learner != nil else { return nil }
        let learnt = MonotonicInstant(nanoseconds: learnt.load(ordering: .relaxed))
        guard learnt.duration(to: now) <= Self.memory else { return nil }
        let needs = Duration.nanoseconds(least.load(ordering: .relaxed))
        let left = remaining()
        return needs > left && gauge.current > 0 ? needs - left : nil
    }

    /// - Parameters:
    ///   - latency: Since the call came; nil for one that says nothing of how busy the method is.
    ///   - now: When it ended.
    package func leave(_ lane: Lane, latency: Duration? = nil, now: @autoclosure () -> MonotonicInstant = .now) {
        guard let learner, let latency else { return gauge.leave(lane) }
        let inFlight = gauge.current
        gauge.leave(lane)
        let ended = now()
        _ = learner.gradient.withLockIfAvailable { gradient in
            gradient.record(latency, inFlight: inFlight, now: ended)
            gauge.places = gradient.limit
            learnt.store(gradient.learntAt?.nanoseconds ?? 0, ordering: .relaxed)
            least.store(Int64(clamping: (gradient.leastLatency ?? .zero).wholeNanoseconds), ordering: .relaxed)
        }
    }

    private final class Learner: Sendable {
        let gradient: Mutex<LatencyGradient>

        init(_ policy: LatencyGradient.Policy, now: MonotonicInstant) {
            gradient = Mutex(LatencyGradient(policy, now: now))
        }
    }
}
