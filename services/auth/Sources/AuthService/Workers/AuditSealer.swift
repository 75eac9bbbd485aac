internal import Logging
internal import ServiceKit

/// Adds committed rows of the audit trail to its chain, within a second. Of several processes one does, by a lease; when it
/// is gone the next takes over, once the lease has ended.
struct AuditSealer: Sendable {
    let store: AuthStore
    let clock: any AuthClock
    let logger: Logger
    /// Of this process, among those that share the database.
    let owner: String

    /// Seals until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                while try await store.sealAuditTrail(as: owner) == Self.batch {}
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "the audit trail was not sealed and will be tried again", .error(error))
            }
            try? await clock.sleep(for: Self.interval)
        }
    }

    static let lease: Duration = .seconds(1)
    /// One that reaches further ahead is nobody's: whoever left it had a clock that was ahead, and nobody would seal until then.
    static let longestLease: Duration = lease * 2
    /// Rows in one transaction.
    static let batch = 500
    private static let interval: Duration = .milliseconds(500)
}
