import Synchronization

/// The least time that calls took of late, told by those that end: who has less left than that cannot end in time.
///
/// Kept without a lock, since every call that ends may tell. What races may lose is one call of a window.
package final class LeastLatency: Sendable {
    /// The shortest window, and the fewest calls that are one.
    private static let window = Duration.milliseconds(100)
    private static let samples = 16
    /// How long what was learnt is believed. Who is refused for it teaches nothing: a stall that is over, with one call of it
    /// that still hangs, would keep everybody out.
    private static let memory = Duration.seconds(1)

    /// Of the window that is open, nanoseconds and calls; and when it may close, nanoseconds of the clock.
    private let current = Atomic<Int64>(.max)
    private let count = Atomic<Int>(0)
    private let closes: Atomic<UInt64>
    /// Of the last one that closed, and when that was.
    private let least = Atomic<Int64>(0)
    private let learnt = Atomic<UInt64>(0)

    package init(now: MonotonicInstant = .now) { closes = Atomic(now.advanced(by: Self.window).nanoseconds) }

    /// A call has ended.
    package func record(_ latency: Duration, ended: MonotonicInstant) {
        current.min(Int64(clamping: latency.wholeNanoseconds), ordering: .relaxed)
        let calls = count.wrappingAdd(1, ordering: .relaxed).newValue
        let closing = closes.load(ordering: .relaxed)
        guard calls >= Self.samples, ended.nanoseconds >= closing else { return }
        // Of two that could close the window, one does.
        let next = ended.advanced(by: Self.window).nanoseconds
        guard closes.compareExchange(expected: closing, desired: next, ordering: .relaxed).exchanged else { return }
        count.store(0, ordering: .relaxed)
        let taken = current.exchange(.max, ordering: .relaxed)
        // One that was kept from its work for a whole window finds that the next has been closed over it.
        guard taken != .max else { return }
        least.store(taken, ordering: .relaxed)
        learnt.store(ended.nanoseconds, ordering: .relaxed)
    }

    /// The least of the last window; nil while nobody knows, or when that was too long ago.
    package func value(now: MonotonicInstant) -> Duration? {
        let instant = learnt.load(ordering: .relaxed)
        guard instant > 0, MonotonicInstant(nanoseconds: instant).duration(to: now) <= Self.memory else { return nil }
        return .nanoseconds(least.load(ordering: .relaxed))
    }
}
