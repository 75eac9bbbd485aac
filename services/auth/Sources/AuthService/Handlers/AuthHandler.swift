internal import Contracts
internal import RPCCore
internal import ServiceKit
internal import SwiftProtobuf

/// The methods of `lockstep.auth.v1.AuthService`. Each is told in the extension of its subject.
package struct AuthHandler: AuthServiceHandler {
    let store: AuthStore
    let passwords: Passwords
    let accessTokens: AccessTokens
    let factors: SecondFactors

    var policy: AuthPolicy { store.policy }
    var clock: any AuthClock { store.clock }

    /// Whoever does this had better be the user: the current password, and a second factor or passkey shown in this session
    /// lately if there is one.
    ///
    /// - Throws: `AuthError.stepUpRequired`, `.wrongCurrentPassword`.
    func reauthenticate(_ user: UserIdentity, password: String, _ context: CallContext) async throws {
        try await store.requireStepUp(user.sessionID, of: user.subject)
        try await requirePassword(password, of: user, context)
    }

    /// - Throws: `AuthError.wrongCurrentPassword`.
    func requirePassword(_ password: String, of user: UserIdentity, _ context: CallContext) async throws {
        guard let guess = try await store.countGuess(userID: user.subject) else { throw AuthError.userNotFound }
        try await store.deciding(guess) {
            let verdict = try await passwords.check(Redacted(password), against: guess.passwordHash, context.outgoing())
            guard verdict.matches else {
                try await store.recordRefusal(of: guess, .reauthenticationFailed, context.rowOrigin)
                throw AuthError.wrongCurrentPassword
            }
        }
        try await store.forgetSessionGuesses(of: user.subject)
    }
}

extension CallContext {
    /// For rows: sessions and the audit trail.
    var rowOrigin: Origin {
        Origin(address: origin.address, userAgent: origin.userAgent, requestID: requestID)
    }
}

extension User {
    var message: AuthUser {
        var message = AuthUser()
        message.userID = id
        message.email = email
        message.name = name
        message.emailVerified = emailVerified
        message.createdAt = createdAt.message
        return message
    }
}

extension Timestamp {
    var message: Google_Protobuf_Timestamp {
        Google_Protobuf_Timestamp(
            seconds: microseconds / 1_000_000, nanos: Int32(microseconds % 1_000_000) * 1000)
    }
}
