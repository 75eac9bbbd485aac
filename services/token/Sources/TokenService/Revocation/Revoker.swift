package import Logging
private import RPCCore
internal import ServiceKit

/// Tells providers to forget tokens (RFC 7009): at once where that works, later where it does not, until it is done.
package struct Revoker: Sendable {
    let store: ConnectionStore
    let vault: TokenVault
    let providers: ProviderRegistry
    let client: OAuthClient
    let settings: TokenSettings
    let clock: any ServiceClock
    let bell: Bell
    let logger: Logger

    /// The longest time without a look at the database, so that clocks that jump delay nothing for long.
    private static let longestIdle: Duration = .seconds(60)

    package init(
        store: ConnectionStore, sealer: any Sealer, providers: ProviderRegistry, client: OAuthClient,
        settings: TokenSettings, clock: any ServiceClock, bell: Bell, logger: Logger
    ) {
        self.store = store
        self.vault = TokenVault(sealer: sealer)
        self.providers = providers
        self.client = client
        self.settings = settings
        self.clock = clock
        self.bell = bell
        self.logger = logger
    }

    /// Revokes until the task is cancelled, and keeps the database tidy.
    package func run() async throws {
        try await store.releaseLeases(of: settings.instance)
        while !Task.isCancelled {
            let heard = bell.rings
            do {
                try await revokeDue()
                try await purge()
                try await idle(past: heard)
            } catch is CancellationError {
                return
            } catch {
                logger.event(.error, "revocations cannot be worked off", .error(error))
                try? await clock.sleep(until: clock.now + TokenLimits.pauseAfterFailure.microseconds)
            }
        }
    }

    /// Drops what has outlived its use.
    func purge() async throws {
        let now = clock.now
        try await store.purge(
            deletedBefore: now - TokenLimits.deletedAge.microseconds,
            pendingSince: now - (settings.stateLifetime + TokenLimits.longestExchange).microseconds,
            Change(at: now, requestID: "maintenance"))
        try await store.forgetReads(before: now - TokenLimits.readAge.microseconds)
    }

    /// Tries everything that is due now.
    ///
    /// - Returns: how many revocations were tried.
    @discardableResult
    package func revokeDue() async throws -> Int {
        var tried = 0
        while let revocation = try await store.claimRevocation(terms, now: clock.now) {
            try await attempt(revocation, with: client)
            tried += 1
        }
        return tried
    }

    /// Tries one now while its user waits; what fails is left for later.
    func revokeNow(_ id: String) async {
        do {
            guard let revocation = try await store.claimRevocation(terms, id: id, now: clock.now) else { return }
            try await attempt(revocation, with: OAuthClient(http: client.http, timeout: TokenLimits.inlineRevocation))
        } catch {
            logger.event(.error, "a revocation was left for later", .error(error))
        }
        bell.ring()
    }

    private var terms: LeaseTerms {
        LeaseTerms(owner: settings.instance, duration: TokenLimits.revocationLease)
    }

    private func attempt(_ revocation: Revocation, with client: OAuthClient) async throws {
        do {
            try await revoke(revocation, with: client)
            try await store.finish(revocation, as: .revoked, change)
        } catch {
            try await postpone(revocation, error)
        }
    }

    private var change: Change { Change(at: clock.now, requestID: "revocation") }

    /// The refresh token first: providers that know what belongs together end both with it.
    private func revoke(_ revocation: Revocation, with client: OAuthClient) async throws {
        guard let provider = providers[revocation.provider] else {
            throw TokenError.providerRefused(provider: revocation.provider)
        }
        guard let endpoint = provider.revocationEndpoint else { return }
        let fields: [(SealedField, [UInt8]?)] = [
            (.refreshToken, revocation.tokens.refreshToken), (.accessToken, revocation.tokens.accessToken),
        ]
        for case (let field, let sealed?) in fields {
            let options = CallOptions(timeout: TokenLimits.encryptionTimeout)
            let token = try await vault.open(sealed, as: field, of: revocation.connectionID, options)
            try await client.revoke(token, hint: field.rawValue, endpoint: endpoint, of: provider)
        }
    }

    private func postpone(_ revocation: Revocation, _ error: any Error) async throws {
        let isHopeless = (error as? TokenError) == .unreadableToken
        let isOld = clock.now - revocation.createdAt >= TokenLimits.revocationAge.microseconds
        guard !isHopeless, !isOld else {
            log(.error, "a revocation was given up", revocation, error)
            return try await store.finish(revocation, as: .revocationAbandoned, change)
        }
        log(.warning, "a revocation is to be tried again", revocation, error)
        let pause = max(Self.pause(afterAttempt: revocation.attempt), (error as? ProviderFailure)?.retryAfter ?? .zero)
        try await store.release(revocation, due: clock.now + pause.microseconds)
    }

    private func log(_ level: Logger.Level, _ message: StaticString, _ revocation: Revocation, _ error: any Error) {
        logger.event(
            level, message, .id("connection", revocation.connectionID), .id("provider", revocation.provider),
            .count("attempt", revocation.attempt), .error(error),
            .id("failure", (error as? ProviderFailure)?.word ?? "local"))
    }

    /// Doubles from seconds to an hour.
    private static func pause(afterAttempt attempt: Int) -> Duration {
        let doublings = min(max(attempt - 1, 0), 30)
        return min(TokenLimits.firstRevocationPause * (1 << doublings), TokenLimits.longestRevocationPause)
    }

    /// Waits for a ring or for the next revocation to become due.
    private func idle(past heard: Int) async throws {
        let latest = clock.now + Self.longestIdle.microseconds
        let due = min(try await store.nextRevocation() ?? latest, latest)
        let alarm = Task {
            try await clock.sleep(until: due)
            bell.ring()
        }
        defer { alarm.cancel() }
        await bell.wait(past: heard)
    }
}

extension ProviderFailure {
    fileprivate var retryAfter: Duration? {
        if case .unavailable(let retryAfter) = self { retryAfter } else { nil }
    }
}
