import Synchronization

/// Counts what is under way against a limit.
package final class CallGauge: Sendable {
    private let count = Atomic<Int>(0)
    private let limit: Int

    /// - Parameter limit: nil for none.
    package init(limit: Int?) { self.limit = limit ?? .max }

    package var current: Int { count.load(ordering: .relaxed) }

    /// Takes a place; false when all are taken.
    package func enter() -> Bool {
        if count.add(1, ordering: .relaxed).newValue <= limit { return true }
        leave()
        return false
    }

    package func leave() { count.subtract(1, ordering: .relaxed) }
}
