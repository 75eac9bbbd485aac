import Synchronization

/// Counts what is under way in each lane against one limit. A place costs one atomic addition.
package final class LaneGauge: Sendable {
    /// Routine in the lower half, emergency in the upper.
    private let counts = Atomic<UInt64>(0)
    /// All places in the lower half, those for emergencies alone in the upper.
    private let limits: Atomic<UInt64>

    /// The most that can be counted in a lane.
    package static let mostPlaces = Int(Int32.max)

    /// - Parameter limit: Places; nil for no limit.
    package init(limit: Int?) { limits = Atomic(Self.packed(LaneShares(limit: limit ?? Self.mostPlaces))) }

    package var current: Int {
        let counts = counts.load(ordering: .relaxed)
        return Self.routine(counts) + Self.emergency(counts)
    }

    /// Places now; calls under way beyond a limit that has shrunk go on.
    package var shares: LaneShares {
        get {
            let limits = limits.load(ordering: .relaxed)
            return LaneShares(limit: Self.routine(limits), reserve: Self.emergency(limits))
        }
        set { limits.store(Self.packed(newValue), ordering: .relaxed) }
    }

    /// Takes a place; false when the lane has none left.
    package func enter(_ lane: Lane) -> Bool {
        let before = counts.wrappingAdd(Self.one(lane), ordering: .relaxed).oldValue
        if shares.hasRoom(for: lane, routine: Self.routine(before), emergency: Self.emergency(before)) { return true }
        leave(lane)
        return false
    }

    package func leave(_ lane: Lane) { counts.wrappingSubtract(Self.one(lane), ordering: .relaxed) }

    /// Changes a place's lane; false, and nothing has changed, when the new lane has none left.
    package func move(from old: Lane, to new: Lane) -> Bool {
        leave(old)
        if enter(new) { return true }
        counts.wrappingAdd(Self.one(old), ordering: .relaxed)
        return false
    }

    private static func packed(_ shares: LaneShares) -> UInt64 {
        UInt64(UInt32(clamping: shares.limit)) | UInt64(UInt32(clamping: shares.reserve)) << 32
    }

    private static func one(_ lane: Lane) -> UInt64 { lane == .emergency ? 1 << 32 : 1 }
    private static func routine(_ counts: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: counts)) }
    private static func emergency(_ counts: UInt64) -> Int { Int(counts >> 32) }
}
