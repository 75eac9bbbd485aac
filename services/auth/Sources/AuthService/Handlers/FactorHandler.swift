package import Contracts
internal import LibCrypto
package import RPCCore
internal import ServiceKit

/// The methods of `lockstep.auth.v1.FactorService`: enrolling second factors and showing them.
package struct FactorHandler: FactorServiceHandler {
    let auth: AuthHandler

    private var store: AuthStore { auth.store }
    private var factors: SecondFactors { auth.factors }

    package func createFactor(_ request: AuthCreateFactorRequest, _ context: CallContext) async throws -> AuthCreateFactorResponse {
        let user = try context.requireUser()
        try await auth.reauthenticate(user, password: request.currentPassword, context)
        guard let account = try await store.user(user.subject) else { throw AuthError.userNotFound }
        let name = try PersonName(request.name)
        let secret = try RandomBytes.generate(TOTP.secretLength)
        let id = try Identifier.factor.make()
        let sealed = try await factors.cipher.seal(secret, factor: id, user: user.subject, context.outgoing())
        try await store.addFactor(
            Factor(
                id: id, name: name.text, sealedSecret: sealed, createdAt: store.clock.now, confirmedAt: nil, lastUsedAt: nil,
                lastStep: 0), user: user.subject, context.rowOrigin)
        var response = AuthCreateFactorResponse()
        response.factorID = id
        response.secret = Base32.encode(secret)
        response.uri = TOTP.uri(secret, issuer: store.policy.factorIssuer, account: account.email)
        return response
    }

    package func confirmFactor(_ request: AuthConfirmFactorRequest, _ context: CallContext) async throws -> AuthConfirmFactorResponse {
        let user = try context.requireUser()
        // As for every change of factors: what waits here may be older than the session, and somebody else's.
        try await store.requireStepUp(user.sessionID, of: user.subject)
        let waiting = try await store.factors(of: user.subject).first { $0.id == request.factorID && $0.confirmedAt == nil }
        guard let waiting, store.clock.now < waiting.createdAt + AuthPolicy.enrolmentLifetime else {
            throw AuthError.factorNotFound
        }
        guard case .totp(let code)? = SecondFactorCode(request.code),
            let guess = try await store.countCode(of: user.subject, .stepUp)
        else { throw AuthError.wrongSecondFactor }
        let step = try await store.deciding(guess) {
            try await factors.matchingStep(code, waiting, user.subject, context)
        }
        guard let step else { throw AuthError.wrongSecondFactor }
        let codes = try Self.recoveryCodes()
        let areNew = try await store.confirmFactor(
            waiting.id, step: step, codes: codes.map { try $0.hash(user: user.subject) }, of: user.subject,
            keeping: user.sessionID, context.rowOrigin)
        var response = AuthConfirmFactorResponse()
        if areNew { response.recoveryCodes = codes.map(\.shown) }
        return response
    }

    package func listFactors(_ request: AuthListFactorsRequest, _ context: CallContext) async throws -> AuthListFactorsResponse {
        let user = try context.requireUser()
        var response = AuthListFactorsResponse()
        response.factors = try await store.factors(of: user.subject).map(\.message)
        response.recoveryCodesLeft = UInt32(clamping: try await store.recoveryCodesLeft(user.subject))
        return response
    }

    package func deleteFactor(_ request: AuthDeleteFactorRequest, _ context: CallContext) async throws -> AuthDeleteFactorResponse {
        let user = try context.requireUser()
        try await store.requireStepUp(user.sessionID, of: user.subject)
        try await store.deleteFactor(request.factorID, of: user.subject, keeping: user.sessionID, context.rowOrigin)
        return AuthDeleteFactorResponse()
    }

    package func createRecoveryCodes(
        _ request: AuthCreateRecoveryCodesRequest, _ context: CallContext
    ) async throws -> AuthCreateRecoveryCodesResponse {
        let user = try context.requireUser()
        try await store.requireStepUp(user.sessionID, of: user.subject)
        let codes = try Self.recoveryCodes()
        try await store.replaceRecoveryCodes(
            codes.map { try $0.hash(user: user.subject) }, of: user.subject, session: user.sessionID, context.rowOrigin)
        var response = AuthCreateRecoveryCodesResponse()
        response.recoveryCodes = codes.map(\.shown)
        return response
    }

    package func completeSession(_ request: AuthCompleteSessionRequest, _ context: CallContext) async throws -> AuthSessionTokens {
        guard let token = OpaqueToken(request.secondFactorToken, .challenge) else { throw AuthError.invalidChallenge }
        let credentials = try await store.challenged(token)
        let proof = try await factors.prove(request.code, of: credentials.userID, .secondFactor, failure: .secondFactorFailed, context)
        let challenge = Challenge(token: token, userID: credentials.userID)
        return try await auth.startSession(credentials, .secondStep(challenge, proof), context)
    }

    package func stepUp(_ request: AuthStepUpRequest, _ context: CallContext) async throws -> AuthStepUpResponse {
        let user = try context.requireUser()
        let proof = try await factors.prove(request.code, of: user.subject, .stepUp, failure: .stepUpFailed, context)
        var response = AuthStepUpResponse()
        response.expiresAt = try await store.stepUp(user.sessionID, of: user.subject, with: proof, context.rowOrigin).message
        return response
    }

    private static func recoveryCodes() throws -> [RecoveryCode] {
        try (0..<RecoveryCode.perUser).map { _ in try RecoveryCode() }
    }
}

extension Factor {
    var message: AuthFactor {
        var message = AuthFactor()
        message.factorID = id
        message.kind = "totp"
        message.name = name
        message.confirmed = confirmedAt != nil
        message.createdAt = createdAt.message
        if let lastUsedAt { message.lastUsedAt = lastUsedAt.message }
        return message
    }
}
