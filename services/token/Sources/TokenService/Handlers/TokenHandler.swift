package import Contracts
package import RPCCore
private import ServiceKit
private import SwiftProtobuf

/// `lockstep.token.v1.TokenService`.
package struct TokenHandler: TokenServiceHandler {
    private let connector: Connector
    private let refresher: Refresher
    private let revoker: Revoker

    package init(connector: Connector, refresher: Refresher, revoker: Revoker) {
        self.connector = connector
        self.refresher = refresher
        self.revoker = revoker
    }

    private var store: ConnectionStore { connector.store }

    package func listProviders(
        _ request: TokenListProvidersRequest, _ context: CallContext
    ) async throws -> TokenListProvidersResponse {
        var response = TokenListProvidersResponse()
        response.providers = connector.providers.all.map(TokenProvider.init)
        return response
    }

    package func createConnection(
        _ request: TokenCreateConnectionRequest, _ context: CallContext
    ) async throws -> TokenCreateConnectionResponse {
        let user = try context.requireUser().subject
        let start = try await connector.start(
            provider: request.provider, user: user, browser: BrowserSecret(cookie: request.browser), context)
        var response = TokenCreateConnectionResponse()
        response.connectionID = start.connectionID
        response.authorizationURL = start.authorizationURL.exposed
        response.browser = start.browser.exposed
        response.expiresIn = UInt32(clamping: start.lifetime.components.seconds)
        return response
    }

    package func listConnections(
        _ request: TokenListConnectionsRequest, _ context: CallContext
    ) async throws -> TokenListConnectionsResponse {
        let user = try context.requireUser().subject
        var response = TokenListConnectionsResponse()
        response.connections = try await store.connections(of: user).map(TokenConnection.init)
        return response
    }

    package func completeConnection(
        _ request: TokenCompleteConnectionRequest, _ context: CallContext
    ) async throws -> TokenConnection {
        let callback = Connector.Callback(
            state: request.state, code: request.code, error: request.error, issuer: request.iss,
            browser: BrowserSecret(cookie: request.browser))
        return TokenConnection(
            try await connector.complete(callback, user: context.user?.subject, context))
    }

    package func getAccessToken(
        _ request: TokenGetAccessTokenRequest, _ context: CallContext
    ) async throws -> TokenGetAccessTokenResponse {
        let found = try await store.connection(request.connectionID, of: context.requireUser().subject)
        guard let found else { throw TokenError.unknownConnection }
        let connection = try await refresher.fresh(found, requestID: context.requestID)
        guard let sealed = connection.tokens.accessToken else { throw TokenError.notConnected }
        let token = try await connector.vault.open(
            sealed, as: .accessToken, of: connection.id, context.outgoing())
        try await store.recordRead(
            connection, Change(at: connector.clock.now, requestID: context.requestID))
        return TokenGetAccessTokenResponse(connection, token: token)
    }

    package func deleteConnection(
        _ request: TokenDeleteConnectionRequest, _ context: CallContext
    ) async throws -> TokenDeleteConnectionResponse {
        let user = try context.requireUser().subject
        let change = Change(at: connector.clock.now, requestID: context.requestID)
        if let revocation = try await store.delete(request.connectionID, of: user, change) {
            await revoker.revokeNow(revocation)
        }
        return TokenDeleteConnectionResponse()
    }

    package func forgetUser(_ request: TokenForgetUserRequest, _ context: CallContext) async throws -> TokenForgetUserResponse {
        let change = Change(at: connector.clock.now, requestID: context.requestID)
        var response = TokenForgetUserResponse()
        response.connections = UInt32(clamping: try await store.deleteAll(of: request.userID, change))
        // The providers are told in the background: how long they take is nothing to whoever deletes an account.
        revoker.bell.ring()
        return response
    }
}

extension TokenProvider {
    fileprivate init(_ provider: Provider) {
        self.init()
        self.provider = provider.id
        name = provider.name
        scopes = provider.scopes
    }
}

extension TokenConnection {
    fileprivate init(_ connection: Connection) {
        self.init()
        connectionID = connection.id
        provider = connection.provider
        state = .init(connection.state)
        createdAt = .init(microseconds: connection.createdAt)
    }
}

extension TokenConnection.State {
    fileprivate init(_ state: ConnectionState) {
        self =
            switch state {
            case .pending: .pending
            case .active: .active
            case .needsConsent: .needsConsent
            case .deleted: .unspecified
            }
    }
}

extension TokenGetAccessTokenResponse {
    fileprivate init(_ connection: Connection, token: Redacted<String>) {
        self.init()
        accessToken = token.exposed
        tokenType = connection.tokenType
        scope = connection.scope
        if let time = connection.expiresAt { expiresAt = .init(microseconds: time) }
    }
}

extension Google_Protobuf_Timestamp {
    fileprivate init(microseconds: Microseconds) {
        self.init(
            seconds: microseconds / 1_000_000, nanos: Int32(microseconds % 1_000_000) * 1000)
    }
}
