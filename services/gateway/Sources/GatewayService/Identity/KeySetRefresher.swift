package import Logging
import ServiceKit
import ServiceLifecycle

/// Fetches the keys at the start, until it succeeds, and then at an interval.
package struct KeySetRefresher: Service {
    /// Between failed fetches: the first pause, doubled up to the last.
    package static let pauses = Duration.milliseconds(50)...Duration.seconds(2)

    private let keys: KeySetCache
    private let interval: Duration
    private let logger: Logger

    package init(keys: KeySetCache, interval: Duration, logger: Logger) {
        self.keys = keys
        self.interval = interval
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var pause = Self.pauses.lowerBound
            while !Task.isCancelled {
                do {
                    try await keys.refresh()
                    pause = Self.pauses.lowerBound
                    try await Task.sleep(for: interval)
                } catch {
                    guard !Task.isCancelled else { return }
                    logger.event(.warning, "the keys of access tokens cannot be fetched", .error(error))
                    try? await Task.sleep(for: pause)
                    pause = min(pause * 2, Self.pauses.upperBound)
                }
            }
        }
    }
}
