package import RPCCore
package import WireCore

/// The clock of the wire core: the machine's monotonic clock, in nanoseconds since its beginning.
package enum WireClock {
    package static var now: WireInstant { instant(at: .now) }

    package static func instant(at time: MonotonicInstant) -> WireInstant {
        WireInstant(nanoseconds: time.nanoseconds)
    }

    package static func time(at instant: WireInstant) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: instant.nanoseconds)
    }
}

extension WireDuration {
    /// Negative durations count as zero; the far future as the longest that fits.
    package init(_ duration: Duration) { self.init(nanoseconds: UInt64(clamping: duration.wholeNanoseconds)) }
}

extension Duration {
    /// Microseconds as the wire carries them: saturating, never negative.
    package var wireMicroseconds: UInt32 { UInt32(clamping: WireDuration(self).microseconds) }

    /// Milliseconds as the wire carries them, rounded up so that advice is never too early.
    package var wireMilliseconds: UInt32 {
        UInt32(clamping: WireDuration(self + .microseconds(999)).milliseconds)
    }
}
