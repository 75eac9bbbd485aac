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
        user: String, session: String, roles: [String], now: Timestamp, end: Timestamp, _ options: CallOptions
    ) async throws -> Signed {
        let lifetime = min(policy.longestAccess, now.duration(to: end))
        var request = EncryptionSignRequest()
        request.keyName = policy.signingKey
        request.subject = user
        request.audience = policy.audience
        request.sessionID = session
        request.roles = roles
        request.lifetimeS = UInt32(clamping: max(1, lifetime.components.seconds))
        let answer = try await calling(.encryption) { () async throws(RPCError) in
            try await client.sign(request, options)
        }
        return Signed(text: Redacted(answer.token), lifetime: Int(request.lifetimeS))
    }
}
