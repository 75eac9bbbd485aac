internal import Logging
internal import ServiceKit

/// Removes what no longer matters, once in a while.
struct Maintenance: Sendable {
    let store: AuthStore
    let clock: any AuthClock
    let logger: Logger

    /// Prunes until the task is cancelled.
    func run() async {
        var forgotten: Signal.Mark?
        while !Task.isCancelled {
            do {
                try await store.prune()
                forgotten = try await store.forgetDeletedKeys(since: forgotten)
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "pruning failed and will be tried again", .error(error))
            }
            try? await clock.sleep(for: Self.interval)
        }
    }

    private static let interval: Duration = .seconds(60)
}
