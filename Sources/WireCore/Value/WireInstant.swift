/// A point on a monotonic clock, in nanoseconds since an epoch of the driver's choice.
///
/// The core reads no clock: every instant comes in as an argument and must not run backwards.
package struct WireInstant: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func < (left: WireInstant, right: WireInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant `duration` later; saturates instead of overflowing.
    package func advanced(by duration: WireDuration) -> WireInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.nanoseconds)
        return WireInstant(nanoseconds: overflow ? .max : sum)
    }

    /// The time from `earlier` to this instant; zero when `earlier` is not earlier.
    package func elapsed(since earlier: WireInstant) -> WireDuration {
        WireDuration(nanoseconds: nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0)
    }
}

/// A length of time in whole nanoseconds. Conversions saturate: no value from a peer overflows.
package struct WireDuration: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static let zero = WireDuration(nanoseconds: 0)

    package static func microseconds(_ value: UInt64) -> WireDuration { scaled(value, by: 1_000) }
    package static func milliseconds(_ value: UInt64) -> WireDuration { scaled(value, by: 1_000_000) }
    package static func seconds(_ value: UInt64) -> WireDuration { scaled(value, by: 1_000_000_000) }

    /// Whole microseconds, rounded down.
    package var microseconds: UInt64 { nanoseconds / 1_000 }
    /// Whole milliseconds, rounded down.
    package var milliseconds: UInt64 { nanoseconds / 1_000_000 }

    package static func < (left: WireDuration, right: WireDuration) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    private static func scaled(_ value: UInt64, by unit: UInt64) -> WireDuration {
        let (product, overflow) = value.multipliedReportingOverflow(by: unit)
        return WireDuration(nanoseconds: overflow ? .max : product)
    }
}
