import Glibc
import Synchronization

/// The time of day, so that tests decide what it is. Deadlines and waits use `ContinuousClock` instead.
package protocol WallClock: Sendable {
    /// Since 1970, UTC.
    var microseconds: Int64 { get }
}

extension WallClock {
    /// Whole seconds since 1970, UTC.
    package var seconds: Int64 { microseconds / 1_000_000 }
}

/// The system's time.
package struct SystemWallClock: WallClock {
    package init() {}

    package var microseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}

/// A time that stands still until it is moved.
package final class ManualWallClock: WallClock {
    private let time: Atomic<Int64>

    package init(microseconds: Int64) { time = Atomic(microseconds) }

    package var microseconds: Int64 { time.load(ordering: .acquiring) }

    /// Moves the time, back when `duration` is negative.
    package func advance(by duration: Duration) {
        let (seconds, attoseconds) = duration.components
        time.add(seconds * 1_000_000 + attoseconds / 1_000_000_000_000, ordering: .acquiringAndReleasing)
    }
}
