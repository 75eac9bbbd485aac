package import Contracts
package import RPCCore
internal import ServiceKit

/// Changing a password, with the current one or with a link.
extension AuthHandler {
    package func changePassword(
        _ request: AuthChangePasswordRequest, _ context: CallContext
    ) async throws -> AuthChangePasswordResponse {
        let user = try context.requireUser()
        try await store.requireStepUp(user.sessionID, of: user.subject)
        guard let guess = try await store.countGuess(userID: user.subject), let credentials = guess.credentials else {
            throw AuthError.userNotFound
        }
        return try await store.deciding(guess) { try await changePassword(request, credentials, user, guess, context) }
    }

    private func changePassword(
        _ request: AuthChangePasswordRequest, _ credentials: Credentials, _ user: UserIdentity, _ guess: Guess,
        _ context: CallContext
    ) async throws -> AuthChangePasswordResponse {
        let options = context.outgoing()
        let current = Redacted(request.currentPassword)
        let verdict = try await passwords.check(current, against: guess.passwordHash, options)
        guard let old = guess.passwordHash, verdict.matches else {
            try await store.recordRefusal(of: guess, .passwordChangeFailed, context.rowOrigin)
            throw AuthError.wrongCurrentPassword
        }
        let new = try await accepted(request.newPassword, for: credentials, options)
        try await store.changePassword(of: user.subject, from: old, to: new, keeping: user.sessionID, context.rowOrigin)
        return AuthChangePasswordResponse()
    }

    package func requestPasswordReset(
        _ request: AuthRequestPasswordResetRequest, _ context: CallContext
    ) async throws -> AuthRequestPasswordResetResponse {
        try await store.requestPasswordReset(EmailAddress(request.email), context.rowOrigin)
        var response = AuthRequestPasswordResetResponse()
        response.status = "reset_sent"
        return response
    }

    package func resetPassword(
        _ request: AuthResetPasswordRequest, _ context: CallContext
    ) async throws -> AuthResetPasswordResponse {
        guard let token = OpaqueToken(request.token, .passwordReset) else { throw AuthError.invalidLinkToken }
        let credentials = try await store.passwordResetCredentials(token)
        let new = try await accepted(request.newPassword, for: credentials, context.outgoing())
        try await store.resetPassword(token, to: new, removingPasskeys: request.removePasskeys, context.rowOrigin)
        return AuthResetPasswordResponse()
    }

    private func accepted(
        _ password: String, for credentials: Credentials, _ options: CallOptions
    ) async throws -> NewPassword {
        try await passwords.accepted(
            Redacted(password), words: credentials.words, field: "new_password",
            withSecondFactor: credentials.hasSecondFactor, options)
    }
}
