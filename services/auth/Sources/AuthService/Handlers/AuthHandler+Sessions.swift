package import Contracts
package import RPCCore
internal import ServiceKit

/// Signing in, staying signed in, signing out.
extension AuthHandler {
    package func createSession(
        _ request: AuthCreateSessionRequest, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        let password = Redacted(request.password)
        let guess = try await store.countGuess(EmailAddress(request.email), context.rowOrigin)
        return try await store.deciding(guess) { try await signIn(guess, password, context) }
    }

    private func signIn(
        _ guess: Guess, _ password: Redacted<String>, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        let hash = guess.passwordHash
        let verdict = try await passwords.check(password, against: hash, context.outgoing())
        guard let credentials = guess.credentials, let hash, verdict.matches else {
            try await store.recordRefusal(of: guess, guess.isOpen ? .signInFailed : .signInLocked, context.rowOrigin)
            throw AuthError.invalidCredentials
        }
        guard credentials.emailVerified else {
            try await store.recordRefusedSignIn(.signInUnverified, user: credentials.userID, context.rowOrigin)
            // The same answer as for a wrong password: whoever registered somebody's address and then signs in would
            // otherwise learn whether its owner has an account.
            throw AuthError.invalidCredentials
        }
        guard !credentials.isDisabled else {
            try await store.recordRefusedSignIn(.signInDisabled, user: credentials.userID, context.rowOrigin)
            throw AuthError.invalidCredentials
        }
        let rehash = verdict.needsRehash ? try? await passwords.hash(password, context.outgoing()) : nil
        if credentials.hasSecondFactor { return try await challenge(credentials, verified: hash, rehash: rehash, context) }
        return try await startSession(credentials, .password(hash, rehash: rehash), context)
    }

    /// The password was right; what is missing is the second step.
    private func challenge(
        _ credentials: Credentials, verified hash: Redacted<String>, rehash: Redacted<String>?, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        let challenge = Challenge(token: try OpaqueToken(.challenge), userID: credentials.userID)
        try await store.begin(challenge, verified: hash, rehash: rehash, context.rowOrigin)
        var response = AuthSessionTokens()
        response.secondFactorToken = challenge.token.text.exposed
        response.secondFactorExpiresIn = Int32(clamping: AuthPolicy.challengeLifetime.components.seconds)
        return response
    }

    package func refreshTokens(
        _ request: AuthRefreshTokensRequest, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        guard let token = OpaqueToken(request.refreshToken, .refresh) else { throw AuthError.invalidRefreshToken }
        let session = try await store.refreshableSession(token, context.rowOrigin)
        // Signed first: were it to fail after the exchange, the client would hold a used token and nothing else.
        let access = try await accessTokens.sign(
            user: session.userID, session: session.sessionID, roles: session.roles.roleList,
            authentication: session.authentication, now: clock.now, end: session.expiresAt, context.outgoing())
        let next = try await store.exchange(token, for: OpaqueToken(.refresh), context.rowOrigin)
        return tokens(access, next, session: session.sessionID)
    }

    package func listSessions(
        _ request: AuthListSessionsRequest, _ context: CallContext
    ) async throws -> AuthListSessionsResponse {
        let user = try context.requireUser()
        var response = AuthListSessionsResponse()
        response.sessions = try await store.sessions(of: user.subject).map {
            $0.message(current: $0.id == user.sessionID, idleAfter: policy.sessionIdle)
        }
        return response
    }

    package func revokeAllSessions(
        _ request: AuthRevokeAllSessionsRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        try await store.revokeAll(of: context.requireUser().subject, context.rowOrigin)
        return AuthRevokeSessionResponse()
    }

    package func revokeCurrentSession(
        _ request: AuthRevokeCurrentSessionRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        let user = try context.requireUser()
        try await store.revoke(session: user.sessionID, of: user.subject, context.rowOrigin)
        return AuthRevokeSessionResponse()
    }

    package func revokeSession(
        _ request: AuthRevokeSessionRequest, _ context: CallContext
    ) async throws -> AuthRevokeSessionResponse {
        let user = try context.requireUser()
        try await store.revoke(session: request.sessionID, of: user.subject, context.rowOrigin)
        return AuthRevokeSessionResponse()
    }

    func startSession(
        _ credentials: Credentials, _ proof: SignInProof, _ context: CallContext
    ) async throws -> AuthSessionTokens {
        let session = NewSession(
            id: try Identifier.session.make(), refreshToken: try OpaqueToken(.refresh), userID: credentials.userID,
            roles: credentials.roles, proof: proof, authenticatedAt: clock.now)
        let access = try await accessTokens.sign(
            user: credentials.userID, session: session.id, roles: credentials.roles.roleList,
            authentication: session.authentication, now: clock.now, end: clock.now + policy.sessionLifetime,
            context.outgoing())
        try await store.startSession(session, context.rowOrigin)
        return tokens(access, session.refreshToken, session: session.id)
    }

    private func tokens(_ access: AccessTokens.Signed, _ refresh: OpaqueToken, session: String) -> AuthSessionTokens {
        var response = AuthSessionTokens()
        response.accessToken = access.text.exposed
        response.refreshToken = refresh.text.exposed
        response.tokenType = "Bearer"
        response.expiresIn = Int32(clamping: access.lifetime)
        response.sessionID = session
        return response
    }
}

extension Session {
    func message(current: Bool, idleAfter: Duration) -> AuthSession {
        var message = AuthSession()
        message.sessionID = id
        message.current = current
        message.createdAt = createdAt.message
        message.lastUsedAt = lastUsedAt.message
        message.userAgent = userAgent
        message.address = address
        message.device = Device.name(of: userAgent)
        message.lastAddress = lastAddress
        message.expiresAt = min(expiresAt, lastUsedAt + idleAfter).message
        if let secondFactorAt { message.secondFactorAt = secondFactorAt.message }
        return message
    }
}
