internal import SQL

/// A mail to ask Email for, without anything secret in it.
package struct Notification: Sendable {
    package enum Kind: String, SQLValue {
        case verification
        case passwordReset = "password_reset"
        case newSignIn = "new_sign_in"
        case passwordChanged = "password_changed"
        case alreadyRegistered = "already_registered"
        case secondFactorChanged = "second_factor_changed"
        case addressChange = "address_change"
        case addressChangeApproval = "address_change_approval"
        case addressChanged = "address_changed"
        case accountDeleted = "account_deleted"
        /// The password is no good any more: it counted only beside second factors that were removed.
        case passwordNeeded = "password_needed"
        case passkeyCopied = "passkey_copied"
        /// A lane of guesses has had its last, see `GuessLane`.
        case passwordLocked = "password_locked"
        /// Nobody to write to: the row that makes unknown addresses cost the same.
        case nothing

        /// The token that the mail carries, if it carries one.
        var tokenPurpose: OpaqueToken.Purpose? {
            switch self {
            case .verification: .verification
            case .passwordReset: .passwordReset
            case .addressChange: .addressChange
            case .addressChangeApproval: .addressApproval
            case .newSignIn, .passwordChanged, .alreadyRegistered, .secondFactorChanged, .addressChanged, .accountDeleted,
                .passwordNeeded, .passkeyCopied, .passwordLocked, .nothing:
                nil
            }
        }

        /// After this time a mail of this kind is no longer worth sending.
        var usefulFor: Duration {
            switch self {
            case .passwordReset: .seconds(900)
            case .verification, .newSignIn, .passwordChanged, .alreadyRegistered, .secondFactorChanged, .addressChange,
                .addressChangeApproval, .addressChanged, .accountDeleted, .passwordNeeded, .passkeyCopied,
                .passwordLocked:
                .seconds(86_400)
            case .nothing: .zero
            }
        }
    }

    package let id: String
    package let kind: Kind
    package let userID: String
    package let email: String
    package let name: String
    package let emailVerified: Bool
    package let registrationID: String?
    /// The change of address that its link is for.
    package let changeID: String?
    package let address: String
    package let userAgent: String
    package let createdAt: Timestamp
    /// 1 for the first.
    package let attempt: Int
    /// The address is the mail's own, not the account's.
    package var hasOwnRecipient = false
}

/// What is written into the audit trail.
enum AuditEvent: String, SQLValue {
    case registered = "user_registered"
    case registeredAgain = "user_registered_again"
    case emailVerified = "email_verified"
    case verificationRequested = "verification_requested"
    case signedIn = "authn_login_success"
    case signInFailed = "authn_login_fail"
    /// More wrong passwords in a row than are looked at for now, or ever; see `GuessLane`.
    case signInLocked = "authn_login_lock"
    case signInUnverified = "authn_login_unverified"
    case signInDisabled = "authn_login_disabled"
    case tokenRefreshed = "authn_token_refreshed"
    case tokenReused = "authn_token_reuse"
    case sessionRevoked = "session_revoked"
    case sessionsRevoked = "sessions_revoked"
    case sessionEvicted = "session_evicted"
    case passwordChanged = "authn_password_change"
    case passwordChangeFailed = "authn_password_change_fail"
    case resetRequested = "authn_password_reset_requested"
    case passwordReset = "authn_password_reset"
    /// It counted only beside second factors that were removed.
    case passwordRevoked = "authn_password_revoked"
    /// A method asked for a role that the user does not have.
    case accessDenied = "authz_fail"
    case secondFactorFailed = "authn_second_factor_fail"
    case stepUpFailed = "authn_step_up_fail"
    /// The password was right, and a second factor is asked for.
    case secondFactorAsked = "authn_second_factor_required"
    case reauthenticationFailed = "authn_reauthentication_fail"
    case steppedUp = "authn_step_up"
    case factorAdded = "authn_factor_added"
    case factorRemoved = "authn_factor_removed"
    case factorsReset = "authn_factors_reset"
    case recoveryCodesMade = "authn_recovery_codes_made"
    case tierSet = "user_tier_set"
    case addressChangeRequested = "user_address_change_requested"
    case addressChanged = "user_address_changed"
    case userDeleted = "user_deleted"
    case tokenVersionRaised = "token_version_raised"
    case roleGranted = "role_granted"
    case roleRevoked = "role_revoked"
    case userDisabled = "user_disabled"
    case userEnabled = "user_enabled"
    case passkeyAdded = "authn_passkey_added"
    case passkeyRemoved = "authn_passkey_removed"
    case passkeyRefused = "authn_passkey_fail"
    /// A passkey's counter went back: there may be a copy of it.
    case passkeyCopied = "authn_passkey_counter"
    case clientCreated = "client_created"
    case clientSecretMade = "client_secret_made"
    case clientRemoved = "client_removed"
    case clientTokenIssued = "client_token_issued"
    case clientTokenRevoked = "client_token_revoked"
    /// A wrong secret, or an id that no client has.
    case clientRefused = "client_authn_fail"
    /// Accounts were brought from elsewhere; one row for each transaction, which says of which file and how many.
    case usersImported = "users_imported"
}
