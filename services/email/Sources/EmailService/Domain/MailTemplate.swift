internal import SQL

/// The mails that this service knows how to write.
package enum MailTemplate: String, Sendable, Hashable, Codable, CaseIterable, SQLValue {
    case emailVerification = "email_verification"
    case passwordReset = "password_reset"
    case newSignIn = "new_sign_in"
    case passwordChanged = "password_changed"
    case alreadyRegistered = "already_registered"
    case secondFactorChanged = "second_factor_changed"
    case addressChange = "address_change"
    case addressChangeApproval = "address_change_approval"
    case addressChanged = "address_changed"
    case accountDeleted = "account_deleted"
    case passwordNeeded = "password_needed"
    case passkeyCopied = "passkey_copied"
    case passwordLocked = "password_locked"

    /// Values without which the mail makes no sense.
    package var requiredVariables: [String] {
        switch self {
        case .emailVerification, .passwordReset, .addressChange, .addressChangeApproval: ["token"]
        case .newSignIn, .passwordChanged, .alreadyRegistered, .secondFactorChanged, .addressChanged, .accountDeleted,
            .passwordNeeded, .passkeyCopied, .passwordLocked:
            []
        }
    }

    /// Values that the mail shows when they are given.
    package var optionalVariables: [String] {
        switch self {
        case .newSignIn, .passwordChanged, .secondFactorChanged, .addressChangeApproval, .addressChanged, .accountDeleted,
            .passkeyCopied, .passwordLocked:
            ["time", "address", "user_agent"]
        // Nothing that whoever asks for the mail can choose.
        case .emailVerification: ["time", "address"]
        case .passwordReset, .alreadyRegistered, .addressChange, .passwordNeeded: []
        }
    }
}
