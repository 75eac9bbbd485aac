package import Logging
private import RPCCore
internal import ServiceKit

/// Keeps access tokens alive: one refresh at a time for each connection, in this process and in all others.
package struct Refresher: Sendable {
    let store: ConnectionStore
    let vault: TokenVault
    let providers: ProviderRegistry
    let client: OAuthClient
    let settings: TokenSettings
    let clock: any ServiceClock
    let logger: Logger
    /// To be rung when there is something to revoke.
    let bell: Bell
    private let flights = SingleFlight()

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

    /// The connection with a token worth giving out.
    ///
    /// - Throws: `TokenError`; a refresh that fails in passing is no error while the old token still lives.
    func fresh(_ connection: Connection, requestID: String) async throws -> Connection {
        try Self.check(connection.state)
        guard connection.endsWithin(settings.refreshMargin, of: clock.now) else { return connection }
        guard connection.tokens.refreshToken != nil else {
            return try await last(connection, requestID: requestID)
        }
        do {
            try await flights.run(connection.id) { try await refresh(connection, requestID: requestID) }
        } catch let error as TokenError where error.isPassing && !connection.endsWithin(.zero, of: clock.now) {
            return connection
        }
        guard let renewed = try await store.connection(connection.id, of: connection.userID) else {
            throw TokenError.unknownConnection
        }
        try Self.check(renewed.state)
        return renewed
    }

    private static func check(_ state: ConnectionState) throws {
        switch state {
        case .active: return
        case .pending: throw TokenError.notConnected
        case .needsConsent: throw TokenError.needsConsent
        case .deleted: throw TokenError.unknownConnection
        }
    }

    /// A token that cannot be refreshed serves to its end.
    private func last(_ connection: Connection, requestID: String) async throws -> Connection {
        guard connection.endsWithin(.zero, of: clock.now) else { return connection }
        try await store.exhaust(connection, Change(at: clock.now, requestID: requestID))
        throw TokenError.needsConsent
    }

    /// Refreshes, or waits until another process has.
    private func refresh(_ connection: Connection, requestID: String) async throws {
        let end = clock.now + TokenLimits.waitForOtherProcess.microseconds
        let terms = LeaseTerms(owner: settings.instance, duration: TokenLimits.refreshLease)
        while true {
            let now = clock.now
            let change = Change(at: now, requestID: requestID)
            switch try await store.leaseRefresh(connection, terms, change) {
            case .leased(let lease): return try await RefreshAttempt(self, lease, requestID: requestID).run()
            case .newer: return
            case .ended(let state): return try Self.check(state)
            case .notBefore(let time): throw unavailable(connection, retryAfter: .microseconds(time - now))
            case .busy:
                guard now < end else { throw unavailable(connection, retryAfter: .seconds(1)) }
                try await clock.sleep(until: now + TokenLimits.lookInterval.microseconds)
            }
        }
    }

    private func unavailable(_ connection: Connection, retryAfter: Duration) -> TokenError {
        let name = providers[connection.provider]?.name ?? connection.provider
        return .providerUnavailable(provider: name, retryAfter: retryAfter)
    }
}

extension TokenError {
    /// Whether the same request may succeed later without anybody's doing.
    var isPassing: Bool {
        switch self {
        case .providerUnavailable, .providerMalformed, .providerRefused: true
        default: false
        }
    }
}
