internal import Logging
internal import ServiceKit

/// Hands notifications to Email after the transactions that wrote them: at once when told, again after a failure.
///
/// Tokens are made here and not with the notification: so the outbox holds no secret, a sign-up does not depend on
/// mail, and known and unknown addresses are answered after the same work.
struct NotificationRelay: Sendable {
    let store: AuthStore
    let mailer: Mailer
    let clock: any AuthClock
    let logger: Logger
    /// Between 0 and 1.
    let random: @Sendable () -> Double

    /// Relays until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let mark = store.notifications.mark
            var pause = Self.pollInterval
            do {
                while try await relayDue() == Self.batch {}
                if let next = try await store.nextNotification() {
                    pause = min(max(clock.now.duration(to: next), .milliseconds(10)), pause)
                }
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "notifications cannot be read", .error(error))
            }
            await store.notifications.wait(since: mark, atMost: pause, clock: clock)
        }
    }

    /// Relays what is due now.
    ///
    /// - Returns: how many were taken.
    @discardableResult
    func relayDue() async throws -> Int {
        guard let next = try await store.nextNotification(), next <= clock.now else { return 0 }
        let due = try await store.takeNotifications(limit: Self.batch, lease: Self.lease)
        await withTaskGroup(of: Void.self) { group in
            for notification in due {
                group.addTask { await relay(notification) }
            }
        }
        return due.count
    }

    private func relay(_ notification: Notification) async {
        do {
            if isWorthSending(notification) { try await send(notification) }
            try await store.finish(notification)
        } catch {
            logger.event(
                .warning, "a notification was not relayed and will be tried again",
                .id("notification", notification.id),
                .id("kind", notification.kind.rawValue), .count("attempt", notification.attempt), .error(error))
            let time = clock.now + Self.backoff(attempt: notification.attempt, random: random())
            try? await store.postpone(notification, until: time)
        }
    }

    private func isWorthSending(_ notification: Notification) -> Bool {
        if notification.kind == .verification, notification.emailVerified { return false }
        if clock.now <= notification.createdAt + notification.kind.usefulFor { return true }
        logger.event(
            .error, "a notification was given up", .id("notification", notification.id),
            .id("kind", notification.kind.rawValue))
        return false
    }

    private func send(_ notification: Notification) async throws {
        guard let purpose = notification.kind.tokenPurpose else {
            return try await mailer.send(notification, token: nil, expiresAt: nil)
        }
        let token = try OpaqueToken(purpose)
        let expiresAt = clock.now + lifetime(purpose)
        guard try await store.store(token, for: notification, expiresAt: expiresAt) else { return }
        try await mailer.send(notification, token: token, expiresAt: expiresAt)
    }

    private func lifetime(_ purpose: OpaqueToken.Purpose) -> Duration {
        purpose == .passwordReset ? store.policy.passwordResetLifetime : store.policy.verificationLifetime
    }

    /// Doubles with each attempt, spread over half to one and a half of it, so that relays do not march in step.
    static func backoff(attempt: Int, random: Double) -> Duration {
        let doubled = firstPause * (1 << min(max(0, attempt - 1), 10))
        return min(doubled, longestPause) * (0.5 + random)
    }

    /// Longer than the attempt may take: until then no other relay takes the same notification.
    static func lease(attempt: Int) -> Duration {
        Mailer.timeout(attempt: attempt) + .milliseconds(500)
    }

    /// Notifications taken at once.
    private static let batch = 20
    private static let firstPause: Duration = .milliseconds(500)
    private static let longestPause: Duration = .seconds(15)
    /// Notifications that another process wrote are found after this at the latest.
    private static let pollInterval: Duration = .seconds(1)
}
