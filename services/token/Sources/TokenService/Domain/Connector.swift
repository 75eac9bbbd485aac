package import Logging
internal import RPCCore
internal import ServiceKit

/// Links users to providers: the authorization code flow with PKCE, from the URL to the first tokens.
package struct Connector: Sendable {
    let store: ConnectionStore
    let vault: TokenVault
    let providers: ProviderRegistry
    let client: OAuthClient
    let settings: TokenSettings
    let clock: any ServiceClock
    let logger: Logger

    package init(
        store: ConnectionStore, sealer: any Sealer, providers: ProviderRegistry, client: OAuthClient,
        settings: TokenSettings, clock: any ServiceClock, logger: Logger
    ) {
        self.store = store
        self.vault = TokenVault(sealer: sealer)
        self.providers = providers
        self.client = client
        self.settings = settings
        self.clock = clock
        self.logger = logger
    }

    /// A flow that the user's browser is to take up.
    struct Start: Sendable {
        let connectionID: String
        let authorizationURL: Redacted<String>
        /// For the browser to keep and bring back.
        let browser: Redacted<String>
        /// How long the user may take.
        let lifetime: Duration
    }

    /// What the browser brought back.
    struct Callback: Sendable {
        let state: String
        let code: String
        let error: String
        let issuer: String
        let browser: BrowserSecret?
    }

    /// - Parameter browser: What the browser has from an earlier flow. It is kept while such a flow of the same user is
    ///   under way, so that flows in two tabs both end well; nobody else's and nothing made up is taken over.
    func start(
        provider id: String, user: String, browser offered: BrowserSecret?, _ context: CallContext
    ) async throws -> Start {
        guard let provider = providers[id] else {
            throw TokenError.unknownProvider(known: providers.all.map(\.id))
        }
        let connection = try Identifier.connection.make()
        let (state, verifier, fresh) = (try AuthorizationState(), try CodeVerifier(), try BrowserSecret())
        let sealed = try await vault.seal(verifier.value, as: .verifier, of: connection, context.outgoing())
        let now = clock.now
        let flow = NewFlow(
            connectionID: connection, userID: user, provider: id,
            stateHash: try AuthorizationState.hash(state.value.exposed), browserHash: try fresh.hash(),
            offeredBrowserHash: try offered?.hash(), sealedVerifier: sealed,
            expiresAt: now + settings.stateLifetime.microseconds)
        let isKnown = try await store.start(
            flow, limit: settings.connectionsPerUser, Change(at: now, requestID: context.requestID))
        return Start(
            connectionID: connection,
            authorizationURL: try provider.authorizationURL(state: state, verifier: verifier),
            browser: (isKnown ? offered : nil)?.value ?? fresh.value, lifetime: settings.stateLifetime)
    }

    /// Uses the state up first, whatever follows: a callback works once. Who neither is the user nor comes from the
    /// user's browser changes nothing.
    func complete(_ callback: Callback, user: String?, _ context: CallContext) async throws -> Connection {
        let hash = try AuthorizationState.hash(callback.state)
        let authorization = try await store.consume(
            stateHash: hash, user: user, browserHash: callback.browser?.hash())
        guard let authorization else { throw TokenError.invalidState }
        do {
            return try await connect(authorization, callback, context)
        } catch {
            // What cannot be written now, `ConnectionStore.purge` does later.
            try? await store.abandon(authorization, change(context))
            throw error
        }
    }

    private func connect(
        _ authorization: Authorization, _ callback: Callback, _ context: CallContext
    ) async throws -> Connection {
        guard authorization.expiresAt > clock.now else { throw TokenError.invalidState }
        guard let provider = providers[authorization.provider] else {
            throw TokenError.providerRefused(provider: authorization.provider)
        }
        try check(callback, provider)
        let tokens = try await exchange(callback.code, authorization, provider, context)
        let connection = try await keep(tokens, authorization, provider, context)
        guard let connection else { throw TokenError.unknownConnection }
        return connection
    }

    private func check(_ callback: Callback, _ provider: Provider) throws {
        if let issuer = provider.issuer, issuer != callback.issuer { throw TokenError.wrongIssuer }
        switch callback.error {
        case "": break
        case "access_denied": throw TokenError.consentRefused
        case "temporarily_unavailable", "server_error":
            throw TokenError.providerUnavailable(
                provider: provider.name, retryAfter: TokenLimits.pauseAfterFailure)
        default: throw TokenError.providerRefused(provider: provider.name)
        }
        if callback.code.isEmpty { throw TokenError.missingCode }
    }

    private func exchange(
        _ code: String, _ authorization: Authorization, _ provider: Provider, _ context: CallContext
    ) async throws -> ProviderTokens {
        let verifier = try await vault.open(
            authorization.verifier, as: .verifier, of: authorization.connectionID, context.outgoing())
        do {
            return try await client.exchange(code: code, verifier: verifier, at: provider)
        } catch {
            logger.event(
                .warning, "a code was not exchanged", .id("provider", provider.id), .id("failure", error.word),
                .id("connection", authorization.connectionID), .request(context))
            throw TokenError(error, from: provider)
        }
    }

    private func keep(
        _ tokens: ProviderTokens, _ authorization: Authorization, _ provider: Provider, _ context: CallContext
    ) async throws -> Connection? {
        do {
            let sealed = try await vault.seal(tokens, of: authorization.connectionID, context.outgoing())
            let change = change(context)
            return try await store.activate(
                authorization, TokenUpdate(tokens, sealed: sealed, now: change.at),
                scope: provider.scopes.joined(separator: " "), change)
        } catch {
            await forget(tokens, provider)
            throw error
        }
    }

    /// Tokens that cannot be stored must not live on at the provider either. What fails here ends by itself in time.
    private func forget(_ tokens: ProviderTokens, _ provider: Provider) async {
        guard let endpoint = provider.revocationEndpoint else { return }
        if let token = tokens.refreshToken {
            try? await client.revoke(token, hint: SealedField.refreshToken.rawValue, endpoint: endpoint, of: provider)
        }
        try? await client.revoke(
            tokens.accessToken, hint: SealedField.accessToken.rawValue, endpoint: endpoint, of: provider)
    }

    private func change(_ context: CallContext) -> Change { Change(at: clock.now, requestID: context.requestID) }
}

extension TokenError {
    /// What callers learn of a provider's failure.
    init(_ failure: ProviderFailure, from provider: Provider) {
        self =
            switch failure {
            case .invalidGrant, .refused: .providerRefused(provider: provider.name)
            case .unavailable(let retryAfter):
                .providerUnavailable(
                    provider: provider.name, retryAfter: retryAfter ?? TokenLimits.pauseAfterFailure)
            case .lost:
                .providerUnavailable(provider: provider.name, retryAfter: TokenLimits.pauseAfterFailure)
            case .malformed: .providerMalformed(provider: provider.name)
            }
    }
}
