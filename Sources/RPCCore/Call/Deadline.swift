/// The instant by which a call must have ended, on this process's monotonic clock.
///
/// Deadlines cross processes as remaining time, so clocks need not agree (WIRE.md, deadlines).
package struct Deadline: Sendable, Hashable, Comparable {
    package let instant: MonotonicInstant

    package init(_ instant: MonotonicInstant) { self.instant = instant }

    package init(_ instant: ContinuousClock.Instant) { self.init(MonotonicInstant(instant)) }

    /// `duration` from now.
    package static func after(_ duration: Duration, now: MonotonicInstant = .now) -> Deadline {
        Deadline(now.advanced(by: duration))
    }

    /// Time left; negative when it has passed.
    package func remaining(now: MonotonicInstant = .now) -> Duration { now.duration(to: instant) }

    package func hasPassed(now: MonotonicInstant = .now) -> Bool { now >= instant }

    package static func after(_ duration: Duration, now: ContinuousClock.Instant) -> Deadline {
        after(duration, now: MonotonicInstant(now))
    }

    package func remaining(now: ContinuousClock.Instant) -> Duration { remaining(now: MonotonicInstant(now)) }

    package func hasPassed(now: ContinuousClock.Instant) -> Bool { hasPassed(now: MonotonicInstant(now)) }

    package static func < (a: Deadline, b: Deadline) -> Bool { a.instant < b.instant }
}
