private import Logging
private import RPCCore
private import ServiceKit

/// One refresh under a lease, from the old refresh token to the new pair in the database.
struct RefreshAttempt: Sendable {
    private let refresher: Refresher
    private let lease: RefreshLease
    private let requestID: String

    init(_ refresher: Refresher, _ lease: RefreshLease, requestID: String) {
        self.refresher = refresher
        self.lease = lease
        self.requestID = requestID
    }

    private var connection: Connection { lease.connection }
    private var change: Change { Change(at: refresher.clock.now, requestID: requestID) }

    private var options: CallOptions {
        var options = CallOptions(timeout: TokenLimits.encryptionTimeout)
        options.requestID = requestID
        return options
    }

    func run() async throws {
        let (provider, token) = try await prepare()
        let tokens: ProviderTokens
        do {
            tokens = try await refresher.client.refresh(token, at: provider)
        } catch {
            throw try await fail(error, provider)
        }
        try await keep(tokens)
    }

    /// Everything that can fail before the provider is asked. Then nothing has begun, and the lease ends as it was.
    private func prepare() async throws -> (Provider, Redacted<String>) {
        do {
            guard let provider = refresher.providers[connection.provider] else {
                throw TokenError.providerRefused(provider: connection.provider)
            }
            guard let sealed = connection.tokens.refreshToken else { throw TokenError.needsConsent }
            let token = try await refresher.vault.open(sealed, as: .refreshToken, of: connection.id, options)
            return (provider, token)
        } catch {
            try await refresher.store.release(lease, retryAt: nil)
            throw error
        }
    }

    /// Writes down how the provider failed.
    ///
    /// - Returns: what callers are told.
    private func fail(_ failure: ProviderFailure, _ provider: Provider) async throws -> TokenError {
        log("a token was not refreshed", .id("failure", failure.word))
        guard failure != .invalidGrant else {
            try await refresher.store.refuse(lease, change)
            return .needsConsent
        }
        let error = TokenError(failure, from: provider)
        try await refresher.store.release(lease, retryAt: refresher.clock.now + error.pause.microseconds)
        return error
    }

    /// The provider may have forgotten the old pair by now, so the new one is worth several attempts. If all fail, the
    /// begun refresh stays written down: its outcome is unknown.
    private func keep(_ tokens: ProviderTokens) async throws {
        do {
            let sealed = try await persistently { try await refresher.vault.seal(tokens, of: connection.id, options) }
            let update = TokenUpdate(tokens, sealed: sealed, now: refresher.clock.now)
            let isKept = try await persistently { try await refresher.store.commit(lease, update, change) }
            if !isKept { refresher.bell.ring() }
        } catch {
            log("new tokens were lost", .error(error))
            try? await refresher.store.releaseAsUnknown(lease)
            throw error
        }
    }

    private func persistently<T>(_ work: () async throws -> T) async throws -> T {
        var pause = TokenLimits.firstKeepPause
        for _ in 1..<TokenLimits.keepAttempts {
            if let result = try? await work() { return result }
            try await refresher.clock.sleep(until: refresher.clock.now + pause.microseconds)
            pause = pause * 2
        }
        return try await work()
    }

    private func log(_ message: StaticString, _ reason: LogField) {
        refresher.logger.event(
            .warning, message, .id("connection", connection.id), .id("provider", connection.provider),
            .requestID(requestID), reason)
    }
}

extension TokenError {
    /// How long the provider is left alone after this.
    fileprivate var pause: Duration {
        switch self {
        case .providerUnavailable(_, let retryAfter): retryAfter
        case .providerMalformed: Self.retryAfterNonsense
        default: TokenLimits.pauseAfterRefusal
        }
    }
}
