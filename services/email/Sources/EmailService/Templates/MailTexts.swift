/// The words of one mail: mustache, `{{value}}` escaped for HTML in `html`, plain in `text`.
struct MailTexts: Sendable {
    /// Holds no personal data: subjects show on locked screens.
    let subject: String
    let text: String
    let html: String
    /// Where the mail's button leads: a path below `email.link_base`. The token stands in the fragment, which browsers
    /// send to nobody.
    var linkPath: String?
}

extension MailTemplate {
    var texts: MailTexts {
        switch self {
        case .emailVerification: .emailVerification
        case .passwordReset: .passwordReset
        case .newSignIn: .newSignIn
        case .passwordChanged: .passwordChanged
        case .alreadyRegistered: .alreadyRegistered
        case .secondFactorChanged: .secondFactorChanged
        case .addressChange: .addressChange
        case .addressChangeApproval: .addressChangeApproval
        case .addressChanged: .addressChanged
        case .accountDeleted: .accountDeleted
        case .passwordNeeded: .passwordNeeded
        case .passkeyCopied: .passkeyCopied
        case .passwordLocked: .passwordLocked
        }
    }
}

extension MailTexts {
    static let emailVerification = MailTexts(
        subject: "Confirm your address",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            an account was made with this address. Open this link to confirm that it is yours:

            {{link}}

            Or enter this token where you are asked for it:

            Token: {{token}}

            It works once and for a limited time.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If that was not you, ignore this mail: following it would confirm an account that somebody else made.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>an account was made with this address. Confirm that it is yours:</p>
            <p><a href="{{link}}">Confirm your address</a></p>
            <p>Or enter this token where you are asked for it:</p>
            <p><code>{{token}}</code></p>
            <p>It works once and for a limited time.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If that was not you, ignore this mail: following it would confirm an account that somebody else
            made.</p>
            """,
        linkPath: "/verify-email")

    static let passwordReset = MailTexts(
        subject: "Set a new password",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            somebody, probably you, asked for a new password. Open this link to choose one:

            {{link}}

            Or enter this token where you are asked for it:

            Token: {{token}}

            It works once and only for a short time. If it was not you, ignore this mail: your password stays as it is.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>somebody, probably you, asked for a new password.</p>
            <p><a href="{{link}}">Choose a new password</a></p>
            <p>Or enter this token where you are asked for it:</p>
            <p><code>{{token}}</code></p>
            <p>It works once and only for a short time. If it was not you, ignore this mail: your password stays as it
            is.</p>
            """,
        linkPath: "/reset-password")

    static let newSignIn = MailTexts(
        subject: "New sign-in to your account",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            there was a new sign-in to your account.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If it was you, there is nothing to do. If not, change your password and end your sessions.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>there was a new sign-in to your account.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If it was you, there is nothing to do. If not, change your password and end your sessions.</p>
            """)

    static let passwordChanged = MailTexts(
        subject: "Your password was changed",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            the password of your account was changed, and your other sessions were ended.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            A new password ends no passkey: those that your account has still sign in. Look at them and remove what is not
            yours; whoever asks for a new password can have all of them removed with it.

            If it was not you, ask for a new password at once: your mailbox still lets you in.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>the password of your account was changed, and your other sessions were ended.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>A new password ends no passkey: those that your account has still sign in. Look at them and remove what is not
            yours; whoever asks for a new password can have all of them removed with it.</p>
            <p>If it was not you, ask for a new password at once: your mailbox still lets you in.</p>
            """)

    static let alreadyRegistered = MailTexts(
        subject: "You already have an account",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            somebody, perhaps you, tried to make an account with this address. There is one already, and nothing was
            changed. If you forgot your password, ask for a new one:

            {{link}}
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>somebody, perhaps you, tried to make an account with this address. There is one already, and nothing was
            changed. If you forgot your password, <a href="{{link}}">ask for a new one</a>.</p>
            """,
        linkPath: "/forgot-password")
}
