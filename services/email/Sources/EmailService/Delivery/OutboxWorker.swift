package import Logging
private import RPCCore
private import ServiceKit

/// Delivers what is in the outbox: a fixed number of lanes, each with one message at a time.
///
/// A message is claimed under a lease before anything is done with it. A worker that dies leaves the message where it
/// is; it is due again when the lease ends, or at once when a process of the same name starts.
package struct OutboxWorker: Sendable {
    package struct Settings: Sendable {
        /// Names this process among those that share the outbox.
        package var instance = "email-1"
        /// Messages under way at once.
        package var parallelism = 4
        /// How long a message belongs to a worker; longer than any delivery takes.
        package var lease: Duration = .seconds(60)
        package var retry = RetryPolicy()
        /// How long an ended message keeps its key.
        package var retention: Duration = .seconds(7 * 86_400)
        /// The longest time without a look at the outbox, so that clocks that jump delay nothing for long.
        package var longestIdle: Duration = .seconds(60)

        package init() {}
    }

    /// How long to wait for Encryption before the message is given back.
    static let encryptionTimeout: Duration = .seconds(5)
    /// When a message is tried again that failed through no fault of its own.
    static let faultlessDelay: Duration = .seconds(2)

    let store: OutboxStore
    let sealer: any Sealer
    let renderer: MailRenderer
    let sink: any MailSink
    let sender: Mailbox
    let settings: Settings
    let clock: any ServiceClock
    let bell: Bell
    let logger: Logger

    package init(
        store: OutboxStore, sealer: any Sealer, renderer: MailRenderer, sink: any MailSink, sender: Mailbox,
        settings: Settings, clock: any ServiceClock, bell: Bell, logger: Logger
    ) {
        self.store = store
        self.sealer = sealer
        self.renderer = renderer
        self.sink = sink
        self.sender = sender
        self.settings = settings
        self.clock = clock
        self.bell = bell
        self.logger = logger
    }

    /// Delivers until the task is cancelled. What is under way then is finished first.
    package func run() async throws {
        let released = try await store.releaseLeases(of: settings.instance)
        if released > 0 { logger.event(.notice, "took back messages of an earlier run", .count("count", released)) }
        await withDiscardingTaskGroup { lanes in
            for _ in 0..<settings.parallelism {
                lanes.addTask { await self.lane() }
            }
        }
    }

    /// Delivers everything that is due now.
    ///
    /// - Returns: how many messages were tried.
    @discardableResult
    package func deliverDue() async throws -> Int {
        var tried = 0
        while let message = try await claim() {
            await deliver(message)
            tried += 1
        }
        return tried
    }

    private func lane() async {
        while !Task.isCancelled {
            let heard = bell.rings
            do {
                if let message = try await claim() {
                    // Not a child of the lane: a message under way outlives the lane's cancellation.
                    await Task { await deliver(message) }.value
                    continue
                }
                try await purge()
                try await idle(past: heard)
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "the outbox cannot be read", .error(error))
                try? await clock.sleep(until: clock.now + Self.faultlessDelay.microseconds)
            }
        }
    }

    private func claim() async throws -> ClaimedMessage? {
        try await store.claim(LeaseTerms(owner: settings.instance, duration: settings.lease), now: clock.now)
    }

    private func purge() async throws {
        let count = try await store.purge(finishedBefore: clock.now - settings.retention.microseconds)
        if count > 0 { logger.event(.info, "forgot old messages", .count("count", count)) }
    }

    /// Waits for a ring or for the next message to become due.
    private func idle(past heard: Int) async throws {
        let now = clock.now
        let latest = now + settings.longestIdle.microseconds
        let due = min(try await store.nextDue(now: now) ?? latest, latest)
        let alarm = Task {
            try await clock.sleep(until: due)
            bell.ring()
        }
        defer { alarm.cancel() }
        await bell.wait(past: heard)
    }
}
