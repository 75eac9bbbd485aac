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
    private let denials: Denials?

    /// - Parameter denials: Where it is noted that a user was refused for want of a role.
    package init(
        accessTokens: AccessTokens, revocations: Revocations, identities: IdentityTokens, denials: Denials? = nil
    ) {
        self.accessTokens = accessTokens
        self.revocations = revocations
        self.identities = identities
        self.denials = denials
    }

    /// The user that `method` runs for; nil for a PUBLIC method without one.
    ///
    /// Most PUBLIC methods look at no token, so that a client with an old one can still sign in. Where the contract has
    /// an optional user, a token that was sent must be good: who shows a bad one is not nobody.
    ///
    /// - Parameter origin: For the note of a denial.
    /// - Throws: `Problem` 401, 403, or 503 when tokens cannot be checked.
    package func user(
        for method: MethodDescriptor, credentials: BearerToken, requestID: String, time: RequestTime,
        origin: ClientOrigin = ClientOrigin()
    ) async throws(Problem) -> AuthenticatedUser? {
        if method.exposure == .public, !method.optionalUser || credentials == .none { return nil }
        let grant = try await verified(credentials, time: time)
        let isAllowed = Self.allows(grant, method)
        let lane: Lane = isAllowed && method.grantsEmergency(to: grant.roles) ? .emergency : .routine
        let user = try identified(grant, lane, now: time.now)
        // Where auth has to be asked, it is asked in the lane of who waits for it.
        try await revocations.check(grant, requestID: requestID, user: user, time: time)
        guard isAllowed else {
            denials?.note(user, method, requestID: requestID, origin: origin)
            if case .admin = method.exposure { throw .forbidden }
            throw .userNeeded
        }
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

    /// The services check the roles again; here a missing one is refused before a body is read. A client's token reaches
    /// what its scopes are asked for, and nothing that is a user's own.
    private static func allows(_ grant: AccessGrant, _ method: MethodDescriptor) -> Bool {
        guard case .admin(let roles) = method.exposure else { return grant.clientID == nil }
        return roles.contains(where: grant.roles.contains)
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
