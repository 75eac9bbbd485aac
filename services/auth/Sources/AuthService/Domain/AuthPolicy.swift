/// The numbers that decide: lifetimes, grace, limits. Set by configuration; see README.
package struct AuthPolicy: Sendable {
    /// Of an access token.
    package var accessTokenLifetime: Duration = .seconds(900)
    /// Of a session, however often it is refreshed.
    package var sessionLifetime: Duration = .seconds(30 * 86_400)
    /// Of a session that is not refreshed.
    package var sessionIdle: Duration = .seconds(14 * 86_400)
    /// How long a rotated refresh token is answered with its successor.
    package var refreshGrace: Duration = .seconds(10)
    package var verificationLifetime: Duration = .seconds(86_400)
    package var passwordResetLifetime: Duration = .seconds(900)
    /// Live sessions of one user; a further one ends the one unused for longest.
    package var sessionsPerUser = 50
    /// Mails of one kind to one user in an hour, see `allowsMail`.
    package var mailsPerHour = 10
    /// How long a second factor that was shown in a session is good for what needs one.
    package var stepUpAge: Duration = .seconds(900)
    /// What authenticator apps show beside an account's address.
    package var factorIssuer = "Lockstep"
    /// The name of the key in Encryption that seals the secrets of authenticator apps.
    package var factorKey = "auth-factors"
    /// The domain that passkeys are bound to.
    package var passkeyDomain = "localhost"
    /// The origins of pages that may ask for them.
    package var passkeyOrigins = ["https://localhost:8443"]
    /// The `aud` of access tokens.
    package var audience = "lockstep"
    /// The name of the signing key in Encryption.
    package var signingKey = "access-token"

    package init() {}

    var relyingParty: RelyingParty { RelyingParty(id: passkeyDomain, name: factorIssuer, origins: passkeyOrigins) }

    /// A session that was last used then or before is over.
    func idleLimit(_ now: Timestamp) -> Timestamp { now - sessionIdle }

    /// How long an access token lives at most: half of the idle limit, so that who uses one refreshes before being idle.
    var longestAccess: Duration { min(accessTokenLifetime, sessionIdle / 2) }

    /// The longest that an access token can be configured to live: gateways count on it.
    static let longestAccessTokenLifetime: Duration = .seconds(3600)
    /// The longest that a session can be configured to last.
    static let longestSessionLifetime: Duration = .seconds(365 * 86_400)
    /// The longest grace of a raised token version.
    static let longestGrace: Duration = .seconds(86_400)
    /// Denials of one user in an hour that are written down.
    static let denialsPerHour = 60
    static let factorsPerUser = 10
    /// How long a factor waits for its first code.
    static let enrolmentLifetime: Duration = .seconds(900)
    static let passkeysPerUser = 20
    /// How long a passkey's challenge is good.
    static let passkeyChallengeLifetime: Duration = .seconds(300)
    static let clientsAtMost = 500
    /// Secrets of one client that are good at once.
    static let secretsPerClient = 2
    /// Changes of address that one user may ask for in the window: each writes to somebody.
    static let addressChangesAtMost = 5
    static let addressChangeWindow: Duration = .seconds(86_400)
    /// Rows of the audit trail in an export; more come in pages.
    static let exportedEvents = 1000
    /// User agents in an export, which has a bound.
    static let exportedAgents = 1000
    /// How long a sign-in waits for its second step.
    static let challengeLifetime: Duration = .seconds(300)
    /// Sign-ins of one user that wait at once; of more the oldest go.
    static let challengesAtOnce = 5
    /// Roles of a new account.
    static let initialRoles = "user"
    /// Links of one kind, for one registration, that are good at once.
    static let linksAtOnce = 20
    /// The window of `mailsPerHour`.
    static let mailWindow: Duration = .seconds(3600)
    /// How long is kept what nobody needs any more: ended sessions, used refresh tokens, accounts that nobody
    /// confirmed and all that was recorded of them, what was asked of addresses that nobody has.
    static let retention: Duration = .seconds(7 * 86_400)
    /// How long everyday events stay in the audit trail, and a user agent is known after its last sign-in.
    static let memory: Duration = .seconds(90 * 86_400)
}
