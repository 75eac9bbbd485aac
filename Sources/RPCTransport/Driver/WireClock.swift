package import WireCore

/// The clock of the wire core: the process's continuous clock, counted in nanoseconds from an epoch.
package enum WireClock {
    /// A little in the past, so that the first instants are not zero.
    private static let epoch = ContinuousClock.now.advanced(by: .seconds(-1))

    package static var now: WireInstant { instant(at: .now) }

    /// Instants before the epoch count as the epoch.
    package static func instant(at time: ContinuousClock.Instant) -> WireInstant {
        WireInstant(nanoseconds: WireDuration(epoch.duration(to: time)).nanoseconds)
    }

    package static func time(at instant: WireInstant) -> ContinuousClock.Instant {
        epoch.advanced(by: .nanoseconds(Int64(clamping: instant.nanoseconds)))
    }
}

extension WireDuration {
    /// Negative durations count as zero; the far future as the longest that fits.
    package init(_ duration: Duration) {
        // 64 bits hold 18 seconds of attoseconds, and divide many times faster than 128.
        let attoseconds = duration.attoseconds
        if let short = UInt64(exactly: attoseconds) {
            self.init(nanoseconds: short / 1_000_000_000)
        } else {
            self.init(nanoseconds: UInt64(clamping: attoseconds / 1_000_000_000))
        }
    }
}

extension Duration {
    /// Microseconds as the wire carries them: saturating, never negative.
    package var wireMicroseconds: UInt32 { UInt32(clamping: WireDuration(self).microseconds) }

    /// Milliseconds as the wire carries them, rounded up so that advice is never too early.
    package var wireMilliseconds: UInt32 {
        UInt32(clamping: WireDuration(self + .microseconds(999)).milliseconds)
    }
}
