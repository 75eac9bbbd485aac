/// The instant by which a call must have ended, on this process's monotonic clock.
///
/// Deadlines cross processes as remaining time, so clocks need not agree (WIRE.md, deadlines).
package struct Deadline: Sendable, Hashable, Comparable {
    package let instant: ContinuousClock.Instant

    package init(_ instant: ContinuousClock.Instant) { self.instant = instant }

    /// `duration` from now.
    package static func after(_ duration: Duration, now: ContinuousClock.Instant = .now) -> Deadline {
        Deadline(now.advanced(by: duration))
    }

    /// Time left; negative when it has passed.
    package func remaining(now: ContinuousClock.Instant = .now) -> Duration { now.duration(to: instant) }

    package func hasPassed(now: ContinuousClock.Instant = .now) -> Bool { now >= instant }

    package static func < (a: Deadline, b: Deadline) -> Bool { a.instant < b.instant }
}
