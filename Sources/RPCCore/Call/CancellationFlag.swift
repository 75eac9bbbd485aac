import Synchronization

/// Raised when a call's caller cancelled or its deadline passed. A SYNC handler checks it between items.
package final class CancellationFlag: Sendable {
    private let raised = Atomic<Bool>(false)

    package init() {}

    package var isCancelled: Bool { raised.load(ordering: .acquiring) }

    package func cancel() { raised.store(true, ordering: .releasing) }

    /// Throws `CancellationError` once the flag is raised.
    package func check() throws {
        if isCancelled { throw CancellationError() }
    }
}
