import Contracts
import RPCCore
import Synchronization

/// Auth's endpoints for machine clients, as the gateway sees them: one client, `cli_1` with the secret `s:+ %`.
final class FakeOAuth: OAuthServiceHandler {
    static let secret = "s:+ %"

    private let failure = Mutex<RPCError?>(nil)

    /// What `IssueToken` throws from now on.
    func fail(with error: RPCError?) { failure.withLock { $0 = error } }

    private func check(_ id: String, _ secret: String) throws {
        guard id == "cli_1", secret == Self.secret else {
            throw RPCError(.unauthenticated, "The client's \"id\" or secret is wrong.", reason: "invalid_client")
        }
    }

    func issueToken(_ request: AuthIssueTokenRequest, _ context: CallContext) async throws -> AuthIssueTokenResponse {
        if let error = failure.withLock({ $0 }) { throw error }
        try check(request.clientID, request.clientSecret)
        guard request.grantType == "client_credentials" else {
            throw RPCError(.invalidArgument, "Another grant.", reason: "unsupported_grant_type")
        }
        return .with {
            $0.accessToken = "at"
            $0.tokenType = "Bearer"
            $0.expiresIn = 900
            $0.scope = request.scope
        }
    }

    func introspectToken(
        _ request: AuthIntrospectTokenRequest, _ context: CallContext
    ) async throws -> AuthIntrospectTokenResponse {
        try check(request.clientID, request.clientSecret)
        return .with {
            guard request.token == "good" else { return }
            $0.active = true
            $0.sub = "usr_1"
            $0.exp = 1_800_000_000
        }
    }

    func revokeToken(_ request: AuthRevokeTokenRequest, _ context: CallContext) async throws -> AuthRevokeTokenResponse {
        try check(request.clientID, request.clientSecret)
        return AuthRevokeTokenResponse()
    }
}
