internal import RPCCore
internal import ServiceKit

/// Looks at the codes of second factors.
struct SecondFactors: Sendable {
    let store: AuthStore
    let cipher: FactorCipher

    /// - Parameters:
    ///   - lane: `secondFactor` at sign-in, `stepUp` within a session.
    ///   - event: What the audit trail says of a wrong code.
    /// - Throws: `AuthError.wrongSecondFactor`, for one that is wrong, used, or beyond the limit of guesses.
    func prove(
        _ text: String, of user: String, _ lane: GuessLane, failure event: AuditEvent, _ context: CallContext
    ) async throws -> SecondFactorProof {
        if let code = SecondFactorCode(text), let proof = try await proof(code, of: user, lane, context) { return proof }
        try await store.recordRefusedSignIn(event, user: user, context.rowOrigin)
        throw AuthError.wrongSecondFactor
    }

    private func proof(
        _ code: SecondFactorCode, of user: String, _ lane: GuessLane, _ context: CallContext
    ) async throws -> SecondFactorProof? {
        switch code {
        case .recovery(let code):
            let hash = try code.hash(user: user)
            return try await store.hasRecoveryCode(hash, user: user) ? .recovery(hash: hash) : nil
        case .totp(let code):
            guard let guess = try await store.countCode(of: user, lane) else { return nil }
            return try await store.deciding(guess) {
                for factor in try await store.factors(of: user) where factor.confirmedAt != nil {
                    if let step = try await matchingStep(code, factor, user, context) {
                        return .totp(factor: factor.id, step: step)
                    }
                }
                return nil
            }
        }
    }

    /// The step of which `code` is the factor's code; nil when it is wrong or has been taken.
    func matchingStep(
        _ code: Redacted<String>, _ factor: Factor, _ user: String, _ context: CallContext
    ) async throws -> Int64? {
        let secret = try await cipher.open(factor, user: user, context.outgoing())
        return try TOTP.matchingStep(code.exposed, secret, now: store.clock.now, after: factor.lastStep)
    }
}
