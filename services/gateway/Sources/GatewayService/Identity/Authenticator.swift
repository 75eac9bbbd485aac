package import RPCCore

/// The user behind a request, verified, with the token that tells services so.
package struct AuthenticatedUser: Sendable {
    package let grant: AccessGrant
    /// Granted by the method's contract to the user's roles; nothing in the request asks for it.
    package let lane: Lane
    /// Signed by this gateway; what services believe.
    package let identityToken: String
}

/// From credentials to a user: signature and times, then whether the session still lives, then the identity for the
/// services.
package struct Authenticator: Sendable {
    private let accessTokens: AccessTokens
    private let revocations: Revocations
    private let identities: IdentityTokens

    package init(accessTokens: AccessTokens, revocations: Revocations, identities: IdentityTokens) {
        self.accessTokens = accessTokens
        self.revocations = revocations
        self.identities = identities
    }

    /// The user that `method` runs for; nil for a PUBLIC method without one.
    ///
    /// Most PUBLIC methods look at no token, so that a client with an old one can still sign in. Where the contract has
    /// an optional user, a token that was sent must be good: who shows a bad one is not nobody.
    ///
    /// - Throws: `Problem` 401, 403, or 503 when tokens cannot be checked.
    package func user(
        for method: MethodDescriptor, credentials: BearerToken, requestID: String, time: RequestTime
    ) async throws(Problem) -> AuthenticatedUser? {
        if method.exposure == .public, !method.optionalUser || credentials == .none { return nil }
        let grant = try await verified(credentials, time: time)
        try Self.authorize(grant, for: method)
        let lane: Lane = method.grantsEmergency(to: grant.roles) ? .emergency : .routine
        let user = try identified(grant, lane, now: time.now)
        // Where auth has to be asked, it is asked in the lane of who waits for it.
        try await revocations.check(session: grant.sessionID, requestID: requestID, user: user, now: time.now)
        return user
    }

    private func verified(_ credentials: BearerToken, time: RequestTime) async throws(Problem) -> AccessGrant {
        let token: String
        switch credentials {
        case .none: throw .missingToken
        case .malformed: throw .invalidToken
        case .token(let text): token = text
        }
        return try await accessTokens.verify(token, seconds: time.seconds, now: time.now)
    }

    private func identified(
        _ grant: AccessGrant, _ lane: Lane, now: ContinuousClock.Instant
    ) throws(Problem) -> AuthenticatedUser {
        do {
            let token = try identities.token(for: grant, lane: lane, now: now)
            return AuthenticatedUser(grant: grant, lane: lane, identityToken: token)
        } catch {
            throw .internal
        }
    }

    /// The services check the roles again; here a missing one is refused before a body is read.
    private static func authorize(_ grant: AccessGrant, for method: MethodDescriptor) throws(Problem) {
        guard case .admin(let roles) = method.exposure else { return }
        guard roles.contains(where: grant.roles.contains) else { throw .forbidden }
    }
}

/// One reading of the clocks, for everything that a request decides.
package struct RequestTime: Sendable, Hashable {
    package let now: ContinuousClock.Instant
    /// Since 1970.
    package let seconds: Int64

    package init(now: ContinuousClock.Instant, seconds: Int64) {
        self.now = now
        self.seconds = seconds
    }
}
