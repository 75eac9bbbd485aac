import Synchronization

/// Raised when a call's caller cancelled or its deadline passed. A SYNC handler checks it between items.
package final class CancellationFlag: Sendable {
    private let raised = Atomic<Bool>(false)
    private let deadline: Deadline?

    /// - Parameter deadline: When the flag rises by itself: a handler that holds its event loop learns of its deadline
    ///   here alone. Nil for a call that goes on without its caller.
    package init(deadline: Deadline? = nil) { self.deadline = deadline }

    package var isCancelled: Bool { raised.load(ordering: .acquiring) || deadline?.hasPassed() == true }

    package func cancel() { raised.store(true, ordering: .releasing) }

    /// Throws `CancellationError` once the flag is raised.
    package func check() throws {
        if isCancelled { throw CancellationError() }
    }
}
