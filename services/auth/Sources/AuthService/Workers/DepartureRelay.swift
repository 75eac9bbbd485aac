internal import ContractClients
internal import Contracts
internal import Logging
internal import RPCCore
internal import ServiceKit

/// Tells Token of deleted accounts, after the transactions that deleted them, until it has answered: a deletion does not
/// wait for Token, and is not forgotten while it is away.
struct DepartureRelay: Sendable {
    let store: AuthStore
    let token: TokenServiceClient
    let clock: any AuthClock
    let logger: Logger
    /// Between 0 and 1.
    let random: @Sendable () -> Double

    /// Relays until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let mark = store.departures.mark
            var pause = Self.pollInterval
            do {
                while try await relayDue() == Self.batch {}
                if let next = try await store.nextDeparture() {
                    pause = min(max(clock.now.duration(to: next), .milliseconds(10)), pause)
                }
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "deleted accounts cannot be read", .error(error))
            }
            await store.departures.wait(since: mark, atMost: pause, clock: clock)
        }
    }

    /// Relays what is due now.
    ///
    /// - Returns: how many were taken.
    @discardableResult
    func relayDue() async throws -> Int {
        guard let next = try await store.nextDeparture(), next <= clock.now else { return 0 }
        let due = try await store.takeDepartures(limit: Self.batch, lease: Self.timeout + .milliseconds(500))
        for departure in due { await relay(departure) }
        return due.count
    }

    private func relay(_ departure: Departure) async {
        var request = TokenForgetUserRequest()
        request.userID = departure.userID
        do {
            _ = try await token.forgetUser(request, CallOptions(timeout: Self.timeout))
            try await store.note(answerFor: departure)
        } catch {
            logger.event(
                .warning, "token was not told of a deleted account and will be told again",
                .id("user", departure.userID), .count("attempt", departure.attempt), .error(error))
            let time = clock.now + NotificationRelay.backoff(attempt: departure.attempt, random: random())
            try? await store.postpone(departure, until: time)
        }
    }

    private static let timeout: Duration = .seconds(5)
    /// Departures taken at once.
    private static let batch = 20
    /// Those that another process wrote are found after this at the latest.
    private static let pollInterval: Duration = .seconds(5)
}
