/// How two lanes share a number of places: of calls at once, or in a queue.
///
/// A fifth is for emergencies alone, so routine work cannot keep them out; half is for routine work alone, so an
/// emergency flood cannot either. What lies between goes to whoever comes first.
package struct LaneShares: Sendable, Hashable {
    /// The share of places that only emergencies may take: one in five.
    package static let emergencyShare = 5

    package let limit: Int
    /// Places for emergencies alone: none of fewer than five.
    package let reserve: Int

    /// - Parameter limit: Places.
    package init(limit: Int) { self.init(limit: limit, of: limit) }

    /// - Parameters:
    ///   - limit: Places, as long as something narrows them.
    ///   - whole: How many there are otherwise: emergencies keep a fifth of these.
    package init(limit: Int, of whole: Int) { self.init(limit: limit, reserve: max(limit, whole) / Self.emergencyShare) }

    init(limit: Int, reserve: Int) {
        self.limit = max(limit, 0)
        self.reserve = max(reserve, 0)
    }

    /// Places that routine work may take at most.
    package var routine: Int { limit - limit / Self.emergencyShare }
    /// Places that emergencies may take at most.
    package var emergency: Int { max(half, reserve) }
    private var half: Int { limit == 1 ? 1 : limit / 2 }

    /// Whether one more of `lane` may come to those that are there. A lane's own places are looked at by themselves:
    /// who is just being turned away from the other lane never counts against them.
    package func hasRoom(for lane: Lane, routine: Int, emergency: Int) -> Bool {
        switch lane {
        case .emergency:
            emergency < reserve || (emergency < self.emergency && routine + emergency < limit)
        case .routine:
            routine < limit - half || (routine < self.routine && routine + emergency < limit)
        }
    }
}
