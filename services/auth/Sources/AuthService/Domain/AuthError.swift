package import RPCCore

/// Everything that auth refuses, each with its status, a stable word for programs and a sentence for people.
package enum AuthError: Error, Sendable, Equatable {
    /// A field of the request that breaks a rule, and the rule.
    case invalidField(String, String)
    /// The password may not be chosen: the field that holds it, and why not.
    case weakPassword(field: String, reasons: [String])
    /// Wrong address or password; which of them is nobody's business.
    case invalidCredentials
    /// The signed-in user gave a wrong current password.
    case wrongCurrentPassword
    /// A link's token that is no token, has been used or replaced.
    case invalidLinkToken
    case expiredLinkToken
    /// A refresh token that is no token or unknown.
    case invalidRefreshToken
    /// The session of a refresh token is over.
    case sessionEnded
    /// A refresh token was used again after its grace; the session has been ended.
    case refreshTokenReused
    /// Not a session of this user.
    case sessionNotFound
    /// The account of a valid token is gone.
    case userNotFound
    /// No account has the id that an admin named.
    case noSuchUser
    /// A role that no method asks for; those that there are.
    case unknownRole(field: String, known: [String])
    /// An admin is about to lock themselves out.
    case ownAccount
    /// A code that is no second factor of the user's, has been used, or is one too many.
    case wrongSecondFactor
    /// The token of a sign-in that waits for its second step is no token, used or too old.
    case invalidChallenge
    /// The user has a second factor, or a passkey, and has not shown it in this session lately; which of them.
    case stepUpRequired(StepUpWays)
    /// The user has no second factor and has not shown the password in this session lately.
    case reauthenticationRequired
    case factorNotFound
    case tooManyFactors
    /// The last second factor is to go, and the password is good only beside one; the characters of one that is enough.
    case passwordNeedsFactor(minimum: Int)
    /// As many changes of address as a user may ask for in a day.
    case tooManyChanges
    /// A page token of another answer, or whose row is gone.
    case invalidPageToken
    /// Wrong id or secret of a machine client; which of them is nobody's business.
    case invalidClient
    /// A grant that is not the client credentials grant.
    case unsupportedGrantType
    /// A scope that the client does not have.
    case invalidScope
    /// A token that was issued to somebody else.
    case foreignToken
    case clientNotFound
    case tooManyClients
    /// A sign-in with a passkey that does not hold; why is nobody's business.
    case invalidPasskey
    /// The same within a session.
    case wrongPasskey
    /// What a device made cannot be registered.
    case passkeyRefused
    case passkeyNotFound
    case tooManyPasskeys
    /// A machine client asks for what only a person may do.
    case userNeeded
}

extension AuthError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch self {
        case .invalidField(let field, let problem):
            return .invalid([FieldViolation(field: field, message: problem)])
        case .weakPassword(let field, let reasons):
            return RPCError(
                .invalidArgument, "Choose another password: \(reasons.joined(separator: " "))", reason: "weak_password",
                violations: reasons.map { FieldViolation(field: field, message: $0) })
        case .wrongCurrentPassword:
            return RPCError(
                .invalidArgument, "The current password is wrong.", reason: "invalid_credentials",
                violations: [FieldViolation(field: "current_password", message: "Not the current password.")])
        case .unknownRole(let field, let known):
            return .invalid([
                FieldViolation(field: field, message: "No method asks for this role; there are \(known.joined(separator: ", ")).")
            ])
        case .wrongSecondFactor:
            return RPCError(
                .invalidArgument, "The code is wrong or was used before; wait for the next one, or use a recovery code.",
                reason: "invalid_second_factor",
                violations: [FieldViolation(field: "code", message: "Not a code that is good now.")])
        case .passwordNeedsFactor(let minimum):
            return RPCError(
                .failedPrecondition,
                "Choose a password of at least \(minimum) characters first: the present one is good only beside a second factor.",
                reason: "password_needs_factor")
        case .invalidPageToken:
            return .invalid([FieldViolation(field: "page_token", message: "This page is gone; begin with the first.")])
        case .invalidLinkToken:
            return Self.badToken("The link is not valid or has been used; ask for a new one.", "invalid_token")
        case .expiredLinkToken:
            return Self.badToken("The link has expired; ask for a new one.", "token_expired")
        case .stepUpRequired(let ways):
            return RPCError(.permissionDenied, ways.sentence, reason: "step_up_required")
        case .invalidCredentials, .invalidRefreshToken, .sessionEnded, .refreshTokenReused,
            .sessionNotFound, .userNotFound, .noSuchUser, .ownAccount, .invalidChallenge, .wrongPasskey,
            .factorNotFound, .tooManyFactors, .tooManyChanges, .invalidClient, .unsupportedGrantType, .invalidScope,
            .invalidPasskey, .passkeyRefused, .passkeyNotFound, .tooManyPasskeys,
            .foreignToken, .reauthenticationRequired, .clientNotFound, .tooManyClients, .userNeeded:
            let (code, reason, message) = plain
            return RPCError(code, message, reason: reason)
        }
    }

    private static func badToken(_ message: String, _ reason: String) -> RPCError {
        RPCError(
            .invalidArgument, message, reason: reason,
            violations: [FieldViolation(field: "token", message: message)])
    }

    private var plain: (StatusCode, String, String) {
        switch self {
        case .invalidCredentials:
            (
                .unauthenticated, "invalid_credentials",
                "The address or the password is wrong. If you are sure of both, reset the password by mail."
            )
        case .invalidRefreshToken:
            (.unauthenticated, "invalid_refresh_token", "The refresh token is not valid; sign in again.")
        case .sessionEnded:
            (.unauthenticated, "token_expired", "The session has ended; sign in again.")
        case .refreshTokenReused:
            (
                .unauthenticated, "refresh_token_reused",
                "The refresh token was used twice, so the session has been ended; sign in again."
            )
        case .sessionNotFound:
            (.notFound, "session_not_found", "There is no such session.")
        case .noSuchUser:
            (.notFound, "user_not_found", "There is no such user.")
        case .invalidChallenge:
            (
                .unauthenticated, "invalid_second_factor_token",
                "The sign-in took too long, or was finished already; begin again with the password."
            )
        case .reauthenticationRequired:
            (
                .permissionDenied, "reauthentication_required",
                "Show your password again first: POST /v1/sessions/current/passwords."
            )
        case .factorNotFound:
            (.notFound, "factor_not_found", "There is no such second factor.")
        case .tooManyFactors:
            (.failedPrecondition, "too_many_factors", "Remove a second factor first; there are as many as there may be.")
        case .tooManyChanges:
            (.failedPrecondition, "too_many_changes", "There were too many changes of address today; try again tomorrow.")
        case .invalidPasskey:
            (.unauthenticated, "invalid_passkey", "The passkey is not accepted; begin again, or sign in with the password.")
        case .wrongPasskey:
            (
                .invalidArgument, "invalid_passkey",
                "The passkey is not accepted; begin again: POST /v1/sessions/current/passkey-challenges."
            )
        case .passkeyRefused:
            (.invalidArgument, "passkey_refused", "The passkey cannot be registered; begin again.")
        case .passkeyNotFound:
            (.notFound, "passkey_not_found", "There is no such passkey.")
        case .tooManyPasskeys:
            (.failedPrecondition, "too_many_passkeys", "Remove a passkey first; there are as many as there may be.")
        case .invalidClient:
            (.unauthenticated, "invalid_client", "The client's id or secret is wrong.")
        case .unsupportedGrantType:
            (.invalidArgument, "unsupported_grant_type", "The grant type is client_credentials, and there is no other.")
        case .invalidScope:
            (.invalidArgument, "invalid_scope", "The client does not have all these scopes.")
        case .foreignToken:
            (.invalidArgument, "invalid_grant", "The token was issued to somebody else.")
        case .clientNotFound:
            (.notFound, "client_not_found", "There is no such client.")
        case .tooManyClients:
            (.failedPrecondition, "too_many_clients", "Remove a client first; there are as many as there may be.")
        case .userNeeded:
            (.permissionDenied, "user_needed", "This is for signed-in users, not for clients.")
        case .ownAccount:
            (
                .failedPrecondition, "own_account",
                "You would lock yourself out; another admin can do this, or the operator with `lockstep users`."
            )
        default:
            (.unauthenticated, "unauthenticated", "The account no longer exists.")
        }
    }
}
