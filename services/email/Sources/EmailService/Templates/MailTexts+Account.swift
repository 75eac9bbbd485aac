/// Mails about second factors and about changes of the account itself.
extension MailTexts {
    static let secondFactorChanged = MailTexts(
        subject: "A second factor or passkey was changed",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            a second factor, a passkey or the recovery codes of your account were added, removed or renewed, and other sessions
            were ended.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If it was not you, ask for a new password at once and have all passkeys removed with it. Then look at your second
            factors; whoever runs this service can remove all of them.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>a second factor, a passkey or the recovery codes of your account were added, removed or renewed, and other
            sessions were ended.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If it was not you, ask for a new password at once and have all passkeys removed with it. Then look at your
            second factors; whoever runs this service can remove all of them.</p>
            """)

    static let passkeyCopied = MailTexts(
        subject: "A passkey was refused: there may be a copy of it",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            somebody signed in to your account with one of your passkeys and was refused: the passkey counts how often it was
            used, and its count went back. There may be a copy of it.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            Remove that passkey and make another one, even if it was you who signed in. If you cannot, ask for a new password
            and have all passkeys removed with it.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>somebody signed in to your account with one of your passkeys and was refused: the passkey counts how often it
            was used, and its count went back. There may be a copy of it.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>Remove that passkey and make another one, even if it was you who signed in. If you cannot, ask for a new password
            and have all passkeys removed with it.</p>
            """)

    static let passwordLocked = MailTexts(
        subject: "Too many wrong passwords for your account",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            somebody gave a wrong password for your account too many times in a row. This was the last time:
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            Your password has not been guessed. Where that was done, even the right one may be refused now: when you sign in
            from a place that your account does not know, or when it is asked for in a session that is signed in already. Look
            at your sessions, and end those that are not yours. Signing in from where you usually do ends that, and so does a
            new password, for which you can ask here:

            {{link}}
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>somebody gave a wrong password for your account too many times in a row. This was the last time:</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>Your password has not been guessed. Where that was done, even the right one may be refused now: when you sign in
            from a place that your account does not know, or when it is asked for in a session that is signed in already. Look
            at your sessions, and end those that are not yours. Signing in from where you usually do ends that, and so does a
            new password: <a href="{{link}}">ask for one</a>.</p>
            """,
        linkPath: "/forgot-password")

    static let passwordNeeded = MailTexts(
        subject: "Choose a new password",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            those who run this service removed the second factors of your account, and your sessions were ended. Your
            password is too short to be enough without them, so it is no longer good. Ask for a link to choose a new one:

            {{link}}

            If you did not lose your second factors, tell whoever runs this service at once.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>those who run this service removed the second factors of your account, and your sessions were ended. Your
            password is too short to be enough without them, so it is no longer good. <a href="{{link}}">Ask for a link to
            choose a new one</a>.</p>
            <p>If you did not lose your second factors, tell whoever runs this service at once.</p>
            """,
        linkPath: "/forgot-password")

    static let addressChange = MailTexts(
        subject: "Confirm your new address",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            an account is to have this address. Open this link to confirm that it is yours:

            {{link}}

            Or enter this token where you are asked for it:

            Token: {{token}}

            It works once and for a limited time.

            If that was not you, ignore this mail: nothing changes.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>an account is to have this address. Open this link to confirm that it is yours:</p>
            <p><a href="{{link}}">Confirm your new address</a></p>
            <p>Or enter this token where you are asked for it:</p>
            <p><code>{{token}}</code></p>
            <p>It works once and for a limited time.</p>
            <p>If that was not you, ignore this mail: nothing changes.</p>
            """,
        linkPath: "/confirm-address")

    static let addressChangeApproval = MailTexts(
        subject: "Your account is to have another address",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            somebody, probably you, asked that your account have another address. Open this link to allow it:

            {{link}}

            Or enter this token where you are asked for it:

            Token: {{token}}

            It works once and for a limited time.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If it was not you, do not follow it: nothing changes. Then change your password, since whoever asked knows it.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>somebody, probably you, asked that your account have another address. Open this link to allow it:</p>
            <p><a href="{{link}}">Allow the change</a></p>
            <p>Or enter this token where you are asked for it:</p>
            <p><code>{{token}}</code></p>
            <p>It works once and for a limited time.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If it was not you, do not follow it: nothing changes. Then change your password, since whoever asked knows it.</p>
            """,
        linkPath: "/confirm-address")

    static let addressChanged = MailTexts(
        subject: "Your account has another address",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            your account has another address now, and this one can no longer be used for it.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If it was not you, tell whoever runs this service at once.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>your account has another address now, and this one can no longer be used for it.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If it was not you, tell whoever runs this service at once.</p>
            """)

    static let accountDeleted = MailTexts(
        subject: "Your account was deleted",
        text: """
            Hello{{#name}} {{.}}{{/name}},

            your account and what belongs to it were deleted, as you asked.
            {{#facts}}
            {{label}}: {{value}}
            {{/facts}}

            If it was not you, tell whoever runs this service at once.
            """,
        html: """
            <p>Hello{{#name}} {{.}}{{/name}},</p>
            <p>your account and what belongs to it were deleted, as you asked.</p>
            <ul>
            {{#facts}}
            <li>{{label}}: {{value}}</li>
            {{/facts}}
            </ul>
            <p>If it was not you, tell whoever runs this service at once.</p>
            """)
}
