import Glibc

/// A point on this machine's monotonic clock, the one that `ContinuousClock` reads, as a plain number.
///
/// Every call carries some. `ContinuousClock.Instant` has no layout that this package knows at compile time, so a
/// structure that holds one is copied, compared and destroyed through tables of functions; this one is not.
package struct MonotonicInstant: Sendable, Hashable, Comparable {
    /// Since the clock's own beginning.
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static var now: MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    /// Saturates: there is no instant before the clock's beginning, nor one that does not fit.
    package func advanced(by duration: Duration) -> MonotonicInstant {
        let sum = Int128(nanoseconds) + duration.wholeNanoseconds
        return MonotonicInstant(nanoseconds: UInt64(clamping: sum))
    }

    /// Saturates.
    package func advanced(byNanoseconds duration: UInt64) -> MonotonicInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration)
        return MonotonicInstant(nanoseconds: overflow ? .max : sum)
    }

    /// Zero when `other` is later. For what every call counts: a `Duration` has 128 bits.
    package func nanoseconds(since other: MonotonicInstant) -> UInt64 {
        nanoseconds > other.nanoseconds ? nanoseconds - other.nanoseconds : 0
    }

    /// Negative when `other` is earlier.
    package func duration(to other: MonotonicInstant) -> Duration {
        .nanoseconds(Int64(clamping: Int128(other.nanoseconds) - Int128(nanoseconds)))
    }

    package static func + (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
        instant.advanced(by: duration)
    }

    package static func < (a: MonotonicInstant, b: MonotonicInstant) -> Bool { a.nanoseconds < b.nanoseconds }
}

extension MonotonicInstant {
    /// One moment on both clocks.
    private static let anchor = (here: MonotonicInstant.now, there: ContinuousClock.now)

    package init(_ instant: ContinuousClock.Instant) {
        self = Self.anchor.here.advanced(by: Self.anchor.there.duration(to: instant))
    }

    package var continuous: ContinuousClock.Instant {
        Self.anchor.there.advanced(by: Self.anchor.here.duration(to: self))
    }
}

extension Duration {
    /// Rounded towards zero.
    package var wholeNanoseconds: Int128 {
        // 64 bits hold 9 seconds of attoseconds, and divide many times faster than 128.
        if let short = Int64(exactly: attoseconds) { return Int128(short / 1_000_000_000) }
        return attoseconds / 1_000_000_000
    }
}
