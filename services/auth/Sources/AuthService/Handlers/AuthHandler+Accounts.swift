package import Contracts
package import RPCCore
internal import ServiceKit

/// Registration and the user's own account. Answers tell nothing about which addresses are known.
extension AuthHandler {
    package func register(_ request: AuthRegisterRequest, _ context: CallContext) async throws -> AuthRegisterResponse {
        let email = try EmailAddress(request.email)
        let name = try PersonName(request.name)
        let password = Redacted(request.password)
        let accepted = try await passwords.accepted(
            password, words: email.words + name.words, field: "password", context.outgoing())
        try await store.register(
            Registration(email: email, name: name, passwordHash: accepted.hash), context.rowOrigin)
        var response = AuthRegisterResponse()
        response.status = verificationSent
        return response
    }

    package func verifyEmail(_ request: AuthVerifyEmailRequest, _ context: CallContext) async throws -> AuthUser {
        guard let token = OpaqueToken(request.token, .verification) else { throw AuthError.invalidLinkToken }
        return try await store.verifyEmail(token, context.rowOrigin).message
    }

    package func resendVerification(
        _ request: AuthResendVerificationRequest, _ context: CallContext
    ) async throws -> AuthResendVerificationResponse {
        try await store.requestVerification(EmailAddress(request.email), context.rowOrigin)
        var response = AuthResendVerificationResponse()
        response.status = verificationSent
        return response
    }

    package func getUser(_ request: AuthGetUserRequest, _ context: CallContext) async throws -> AuthUser {
        guard let user = try await store.user(context.requireUser().subject) else { throw AuthError.userNotFound }
        return user.message
    }
}

private let verificationSent = "verification_sent"
