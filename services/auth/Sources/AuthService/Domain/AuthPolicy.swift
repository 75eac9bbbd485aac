/// The numbers that decide: lifetimes, grace, limits. Set by configuration; see README.
package struct AuthPolicy: Sendable {
    /// Of an access token.
    package var accessTokenLifetime: Duration = .seconds(900)
    /// Of a session, however often it is refreshed.
    package var sessionLifetime: Duration = .seconds(30 * 86_400)
    /// How long a rotated refresh token is answered with its successor.
    package var refreshGrace: Duration = .seconds(10)
    package var verificationLifetime: Duration = .seconds(86_400)
    package var passwordResetLifetime: Duration = .seconds(900)
    /// Live sessions of one user; a further one ends the one unused for longest.
    package var sessionsPerUser = 50
    /// Mails of one kind to one user in an hour, see `allowsMail`.
    package var mailsPerHour = 10
    /// The `aud` of access tokens.
    package var audience = "lockstep"
    /// The name of the signing key in Encryption.
    package var signingKey = "access-token"

    package init() {}

    /// The longest that an access token can be configured to live: gateways count on it.
    static let longestAccessTokenLifetime: Duration = .seconds(3600)
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
