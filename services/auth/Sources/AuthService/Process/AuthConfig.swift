package import ServiceKit

/// What can be set, and what it is otherwise. README lists the same table.
package enum AuthConfig {
    package static let database = ConfigKey<DatabaseURL>.database(
        of: "auth",
        "Where accounts and sessions are kept; without a value of its own, where `database.url` (LOCKSTEP_DATABASE_URL) says.")
    static let accessTokenLifetime = ConfigKey(
        "auth.access_token_lifetime", default: Duration.seconds(900), in: .seconds(30) ... AuthPolicy.longestAccessTokenLifetime,
        doc: "How long an access token is valid.")
    static let sessionLifetime = ConfigKey(
        "auth.session_lifetime", default: Duration.seconds(30 * 86_400), in: .seconds(60) ... AuthPolicy.longestSessionLifetime,
        doc: "How long a session lasts, however often it is refreshed.")
    static let sessionIdle = ConfigKey(
        "auth.session_idle", default: Duration.seconds(14 * 86_400), in: .seconds(60) ... AuthPolicy.longestSessionLifetime,
        doc: "How long a session lasts that is not refreshed; access tokens live at most half of it.")
    static let refreshGrace = ConfigKey(
        "auth.refresh_grace", default: Duration.seconds(10), in: .zero ... .seconds(60),
        doc: "How long a used refresh token is answered with its successor before a replay ends the session.")
    static let verificationLifetime = ConfigKey(
        "auth.verification_lifetime", default: Duration.seconds(86_400), in: .seconds(60) ... .seconds(7 * 86_400),
        doc: "How long a link that confirms an address works.")
    static let passwordResetLifetime = ConfigKey(
        "auth.password_reset_lifetime", default: Duration.seconds(900), in: .seconds(60) ... .seconds(86_400),
        doc: "How long a link that resets a password works.")
    static let sessionsPerUser = ConfigKey(
        "auth.sessions_per_user", default: 50, in: 1...100,
        doc: "Live sessions of a user without a tier; a further one ends the one unused for longest.")
    static let mailsPerHour = ConfigKey(
        "auth.mails_per_hour", default: 10, in: 1...1000,
        doc: "Mails of one kind to one user in an hour; the first that a network asks for is sent beyond that.")
    static let stepUpAge = ConfigKey(
        "auth.step_up_age", default: Duration.seconds(900), in: .seconds(60) ... .seconds(3600),
        doc: "How long a second factor that was shown in a session is good for what needs one.")
    static let factorIssuer = ConfigKey(
        "auth.factor_issuer", default: "Lockstep", doc: "What authenticator apps show beside an account's address.")
    static let factorKey = ConfigKey(
        "auth.factor_key", default: "auth-factors",
        doc: "The name of the key in Encryption that seals the secrets of authenticator apps.")
    static let passkeyDomain = ConfigKey(
        "auth.passkey_domain", default: "localhost", allowed: "`localhost`, or a domain such as example.com, in lower case",
        doc: "The domain that passkeys are bound to (the RP ID): that of the pages that ask for them, or one above it."
    ) { PageOrigin.isDomain($0) }
    static let passkeyOrigins = ConfigKey(
        "auth.passkey_origins", default: ["https://localhost:8443"],
        allowed: "origins such as https://login.example.com, of that domain or below it; `http` for localhost alone",
        doc: "Where pages that ask for passkeys stand, as browsers write it."
    ) { !$0.isEmpty && $0.allSatisfy { PageOrigin($0) != nil } }
    static let audience = ConfigKey(
        "auth.audience", default: "lockstep",
        doc: "The audience (`aud`) of access tokens; `gateway.audience` must say the same.")
    static let signingKey = ConfigKey(
        "auth.signing_key", default: "access-token", doc: "The name of the key in Encryption that signs access tokens.")

    package static let keys: [any ConfigEntry] = [
        database, accessTokenLifetime, sessionLifetime, sessionIdle, refreshGrace, verificationLifetime, passwordResetLifetime,
        sessionsPerUser, mailsPerHour, stepUpAge, factorIssuer, factorKey, passkeyDomain, passkeyOrigins, audience, signingKey,
    ]

    package static let table = ConfigTable(service: "auth", keys: keys)
}

extension AuthPolicy {
    /// - Throws: `ConfigProblem` where keys do not go together, or for one that is missing in `AuthConfig.keys`.
    package init(_ configuration: Configuration) throws {
        self.init()
        accessTokenLifetime = try configuration[AuthConfig.accessTokenLifetime]
        sessionLifetime = try configuration[AuthConfig.sessionLifetime]
        sessionIdle = try configuration[AuthConfig.sessionIdle]
        refreshGrace = try configuration[AuthConfig.refreshGrace]
        verificationLifetime = try configuration[AuthConfig.verificationLifetime]
        passwordResetLifetime = try configuration[AuthConfig.passwordResetLifetime]
        sessionsPerUser = try configuration[AuthConfig.sessionsPerUser]
        mailsPerHour = try configuration[AuthConfig.mailsPerHour]
        stepUpAge = try configuration[AuthConfig.stepUpAge]
        factorIssuer = try configuration[AuthConfig.factorIssuer]
        factorKey = try configuration[AuthConfig.factorKey]
        passkeyDomain = try configuration[AuthConfig.passkeyDomain]
        passkeyOrigins = try configuration[AuthConfig.passkeyOrigins]
        audience = try configuration[AuthConfig.audience]
        signingKey = try configuration[AuthConfig.signingKey]
        try checkOrigins()
    }

    /// No browser makes a passkey of a domain for a page that is not of it (WebAuthn Level 3, section 5.1.3, step 7).
    private func checkOrigins() throws(ConfigProblem) {
        let foreign = passkeyOrigins.filter { PageOrigin($0)?.isOf(passkeyDomain) != true }
        guard foreign.isEmpty else {
            throw .inconsistent(
                key: AuthConfig.passkeyOrigins.name, value: foreign.joined(separator: ","),
                problem: "is neither of \(AuthConfig.passkeyDomain.name) (\"\(passkeyDomain)\") nor below it")
        }
    }
}
