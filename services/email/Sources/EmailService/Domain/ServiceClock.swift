private import Foundation

/// Microseconds since 1970, as the database keeps them.
package typealias Microseconds = Int64

/// The time as this service sees it, so that tests decide when it passes.
package protocol ServiceClock: Sendable {
    var now: Microseconds { get }

    /// Returns at `instant` or soon after.
    ///
    /// - Throws: `CancellationError` when the task is cancelled first.
    func sleep(until instant: Microseconds) async throws
}

package struct SystemClock: ServiceClock {
    package init() {}

    package var now: Microseconds { Microseconds(Date().timeIntervalSince1970 * 1_000_000) }

    package func sleep(until instant: Microseconds) async throws {
        try await Task.sleep(for: .microseconds(max(0, instant - now)))
    }
}

extension Duration {
    package var microseconds: Microseconds {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
