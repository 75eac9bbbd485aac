package import ContractClients
import Contracts
package import Logging
import RPCCore
import ServiceKit
import ServiceLifecycle

/// Long-polls auth for ended sessions, for as long as the gateway runs.
///
/// Each question waits at most `wait`, well under what makes the feed stale, so a living auth keeps it fresh and an
/// ended session is known as soon as auth commits it.
package struct RevocationFeed: Service {
    /// How long auth may hold a question.
    package static let wait = Duration.seconds(2)
    /// What is added for the way there and back.
    package static let margin = Duration.seconds(1)
    /// Between failed questions: the first pause, doubled up to the last.
    package static let pauses = Duration.milliseconds(50)...Duration.seconds(1)

    private let client: AuthServiceClient
    private let revocations: Revocations
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant

    package init(
        client: AuthServiceClient, revocations: Revocations, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.client = client
        self.revocations = revocations
        self.logger = logger
        self.now = now
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var pause = Self.pauses.lowerBound
            while !Task.isCancelled {
                do {
                    try await poll()
                    pause = Self.pauses.lowerBound
                } catch {
                    guard !Task.isCancelled else { return }
                    logger.event(.warning, "the feed of ended sessions does not answer", .error(error))
                    try? await Task.sleep(for: pause)
                    pause = min(pause * 2, Self.pauses.upperBound)
                }
            }
        }
    }

    /// One question and its answer. A feed that is not fresh asks not to be held: it needs any answer, soon.
    package func poll() async throws {
        var request = AuthWatchRevocationsRequest()
        request.afterSequence = revocations.sequence
        request.waitMs = revocations.isFresh(now: now()) ? UInt32(Self.wait / .milliseconds(1)) : 0
        let answer = try await client.watchRevocations(request, CallOptions(timeout: Self.wait + Self.margin))
        revocations.answered(
            answer.revocations.map(\.sessionID).filter { !$0.isEmpty }, raises: answer.revocations.compactMap(RaisedVersion.init),
            sequence: answer.sequence, asked: request.afterSequence, now: now())
    }
}

extension RaisedVersion {
    /// Nil for the end of one session, and for what this gateway does not know.
    fileprivate init?(_ entry: AuthRevocation) {
        guard entry.sessionID.isEmpty, entry.everyone || !entry.userID.isEmpty else { return nil }
        self.init(
            subject: entry.everyone ? nil : entry.userID, raisedAt: entry.revokedAt.seconds,
            effectiveAt: entry.effectiveAt.seconds)
    }
}
