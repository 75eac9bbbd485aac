import Synchronization

/// The calls of one connection as those see them who choose between several: under way, and on their way to its loop.
///
/// The loop counts what it has; whoever hands a call over from another thread promises it first. Both are kept apart,
/// since a loop that is busy counts again and again before it comes to what was promised: were that forgotten, all
/// would choose the busiest connection for the idlest.
package struct OutstandingCalls: ~Copyable, Sendable {
    private let counted = Atomic(0)
    private let promised = Atomic(0)

    package init() {}

    package var count: Int { counted.load(ordering: .relaxed) + promised.load(ordering: .relaxed) }

    /// A call is on its way from another thread.
    package func promise() { promised.wrappingAdd(1, ordering: .relaxed) }

    /// It has come, whatever becomes of it. On the loop only.
    package func arrive() { promised.wrappingSubtract(1, ordering: .relaxed) }

    /// So many are under way. On the loop only.
    package func set(_ underWay: Int) { counted.store(underWay, ordering: .relaxed) }
}
