package import ServiceKit

/// The time as this service sees it, so that tests decide when it passes.
package protocol AuthClock: Sendable {
    var now: Timestamp { get }

    /// - Throws: `CancellationError` when the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// The wall clock, and real waiting.
package struct SystemClock: AuthClock {
    private let wall: any WallClock

    package init(_ wall: any WallClock) {
        self.wall = wall
    }

    package var now: Timestamp { Timestamp(microseconds: wall.microseconds) }

    package func sleep(for duration: Duration) async throws {
        try await Task.sleep(for: duration)
    }
}
