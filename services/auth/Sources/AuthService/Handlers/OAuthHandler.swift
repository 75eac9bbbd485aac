package import Contracts
package import RPCCore
internal import ServiceKit

/// The methods of `lockstep.auth.v1.OAuthService`: what machine clients ask for.
package struct OAuthHandler: OAuthServiceHandler {
    let auth: AuthHandler

    private var store: AuthStore { auth.store }

    package func issueToken(_ request: AuthIssueTokenRequest, _ context: CallContext) async throws -> AuthIssueTokenResponse {
        let client = try await authenticate(request.clientID, request.clientSecret, context)
        guard request.grantType == Self.clientCredentials else { throw AuthError.unsupportedGrantType }
        let scopes = try Scopes.granted(request.scope, of: client)
        let lifetime = store.policy.longestAccess
        let token = ClientToken(
            id: try Identifier.clientToken.make(), client: client, expiresAt: store.clock.now + lifetime)
        let access = try await auth.accessTokens.sign(
            client: client.id, token: token.id, scopes: scopes, lifetime: lifetime, context.outgoing())
        try await store.record(token, scopes: scopes, context.rowOrigin)
        var response = AuthIssueTokenResponse()
        response.accessToken = access.text.exposed
        response.tokenType = "Bearer"
        response.expiresIn = UInt32(clamping: access.lifetime)
        response.scope = scopes.joined(separator: " ")
        return response
    }

    package func introspectToken(
        _ request: AuthIntrospectTokenRequest, _ context: CallContext
    ) async throws -> AuthIntrospectTokenResponse {
        _ = try await authenticate(request.clientID, request.clientSecret, context)
        var response = AuthIntrospectTokenResponse()
        guard let claims = try await live(request.token, context) else { return response }
        response.active = true
        response.scope = claims.scope.isEmpty ? claims.roles.joined(separator: " ") : claims.scope
        if !claims.clientID.isEmpty { response.clientID = claims.clientID }
        response.tokenType = "Bearer"
        response.exp = UInt32(clamping: claims.expiresAt.seconds)
        response.iat = UInt32(clamping: claims.issuedAt.seconds)
        response.sub = claims.subject
        response.aud = store.policy.audience
        response.iss = claims.issuer
        if !claims.acr.isEmpty { response.acr = claims.acr }
        if claims.authTime > 0 { response.authTime = UInt32(clamping: claims.authTime) }
        return response
    }

    /// Refresh tokens are users', never a client's own: one that somebody has had is refused, as another's access token
    /// is. Whatever nobody knows or has ended is no error (RFC 7009, section 2.2).
    package func revokeToken(_ request: AuthRevokeTokenRequest, _ context: CallContext) async throws -> AuthRevokeTokenResponse {
        let client = try await authenticate(request.clientID, request.clientSecret, context)
        if let token = OpaqueToken(request.token, .refresh) {
            if try await store.isKnown(refreshToken: token) { throw AuthError.foreignToken }
            return AuthRevokeTokenResponse()
        }
        guard let claims = try await auth.accessTokens.verify(request.token, context.outgoing()) else {
            return AuthRevokeTokenResponse()
        }
        guard claims.clientID == client.id else { throw AuthError.foreignToken }
        try await store.revoke(token: claims.sessionID, of: client, context.rowOrigin)
        return AuthRevokeTokenResponse()
    }

    /// What an access token says while its session, or the client's token, is live.
    private func live(_ token: String, _ context: CallContext) async throws -> EncryptionVerifyTokenResponse? {
        // Opaque tokens are for their holders alone.
        guard let claims = try await auth.accessTokens.verify(token, context.outgoing()), !claims.sessionID.isEmpty,
            try await store.isLive(session: claims.sessionID)
        else { return nil }
        return claims
    }

    /// - Throws: `AuthError.invalidClient`.
    private func authenticate(_ id: String, _ secret: String, _ context: CallContext) async throws -> AuthenticatedClient {
        // What is no client's name stands in no row.
        guard Identifier.client.names(id) else { throw AuthError.invalidClient }
        return try await store.authenticate(client: id, secret: OpaqueToken(secret, .clientSecret), context.rowOrigin)
    }

    private static let clientCredentials = "client_credentials"
}
