internal import ContractClients
internal import Contracts
internal import RPCCore
internal import ServiceKit

/// Access tokens, signed by Encryption (RFC 9068).
struct AccessTokens: Sendable {
    let client: JWTServiceClient
    let policy: AuthPolicy

    struct Signed: Sendable {
        let text: Redacted<String>
        /// Seconds.
        let lifetime: Int
    }

    /// - Parameter end: When the session ends; no access token outlives it.
    func sign(
        user: String, session: String, roles: [String], authentication: Authentication, now: Timestamp, end: Timestamp,
        _ options: CallOptions
    ) async throws -> Signed {
        var request = request(subject: user, session: session, roles: roles, min(policy.longestAccess, now.duration(to: end)))
        request.amr = authentication.methods.words
        request.acr = authentication.level
        request.authTime = authentication.seconds
        return try await sign(request, options)
    }

    /// For a machine client: its subject is itself (RFC 9068, section 2.2).
    func sign(
        client: String, token: String, scopes: [String], lifetime: Duration, _ options: CallOptions
    ) async throws -> Signed {
        var request = request(subject: client, session: token, roles: scopes, lifetime)
        request.clientID = client
        request.scope = scopes.joined(separator: " ")
        return try await sign(request, options)
    }

    /// What a token says that is ours, for us, and has not expired; nil for any other.
    func verify(_ token: String, _ options: CallOptions) async throws -> EncryptionVerifyTokenResponse? {
        var request = EncryptionVerifyTokenRequest()
        request.token = token
        request.audience = policy.audience
        return try await calling(.encryption) { () async throws(RPCError) in
            do throws(RPCError) {
                return try await client.verify(request, options)
            } catch {
                if error.code == .unauthenticated || error.code == .invalidArgument { return nil }
                throw error
            }
        }
    }

    private func request(subject: String, session: String, roles: [String], _ lifetime: Duration) -> EncryptionSignRequest {
        var request = EncryptionSignRequest()
        request.keyName = policy.signingKey
        request.subject = subject
        request.audience = policy.audience
        request.sessionID = session
        request.roles = roles
        request.lifetimeS = UInt32(clamping: max(1, lifetime.components.seconds))
        return request
    }

    private func sign(_ request: EncryptionSignRequest, _ options: CallOptions) async throws -> Signed {
        let answer = try await calling(.encryption) { () async throws(RPCError) in
            try await client.sign(request, options)
        }
        return Signed(text: Redacted(answer.token), lifetime: Int(request.lifetimeS))
    }
}
