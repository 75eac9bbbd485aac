internal import LibCrypto
internal import SQL
internal import ServiceKit

/// How often an account's password may be guessed before only its owner's mail helps: at most 100 failures in a row
/// (NIST SP 800-63B-4, 3.2.2), wherever they come from and however long they take.
///
/// There are three lanes, so that a stranger who uses one up does not lock the owner out where the owner usually is, and a
/// thief of a session does not close sign-in at all. Guesses in a row are counted for each, before the password is looked at;
/// unknown addresses are counted, too. Where the familiar lane takes no guess, the strangers' may.
///
/// | guesses in the lane | the password is | answer | the count is then |
/// |---|---|---|---|
/// | up to its limit | wrong, or the address unknown or unconfirmed | `invalid_credentials` | one more |
/// | up to its limit | right, at sign-in | a session | 0 in all three |
/// | up to its limit | right, within a session | what was asked for | 0 in the sessions' lane |
/// | a multiple of `burst`, and its pause is not over | anything | `invalid_credentials`, after the same work | as before |
/// | at its limit | anything | `invalid_credentials`, after the same work | as before |
/// | any | not decided: Encryption away, caller gone | that error | as before |
///
/// The pauses are 1, 4, 16, 64 and 256 minutes: a stranger who wants to close the strangers' lane needs close to six hours, and
/// its owner gets a mail when it is done. They are the lane's and not one network's, since whoever has many networks would not
/// meet them otherwise. A password reset by mail and a confirmation of the address also set all to 0, so nobody is locked out
/// for good.
enum GuessLane: String, SQLValue {
    /// A network from which nobody has signed in to the account lately.
    case stranger
    /// A network from which the owner has.
    case familiar
    /// The current password, asked for within a session of the account.
    case session
    /// Codes of authenticator apps at sign-in, which have a limit of their own kind: `CodeLimit`.
    case secondFactor = "second_factor"
    /// The same within a session: whoever has stolen one does not close the owner's sign-in.
    case stepUp = "step_up"
    /// Secrets of a machine client from one network: `ClientGuessLimit`.
    case client

    /// Those of passwords together are NIST's 100.
    var limit: Int {
        switch self {
        case .stranger: 60
        case .familiar, .session: 20
        case .secondFactor: CodeLimit.most
        case .stepUp: CodeLimit.mostInSessions
        case .client: .max
        }
    }

    /// Wrong passwords after which a lane pauses.
    static let burst = 10

    /// How long it does after so many: nil where it does not.
    static func pause(after number: Int) -> Duration? {
        guard number > 0, number.isMultiple(of: burst), number < GuessLane.stranger.limit else { return nil }
        return .seconds(60) * (1 << (2 * (number / burst - 1)))
    }

    static let longestPause = pause(after: GuessLane.stranger.limit - burst) ?? .zero
}

/// A guess that has been counted, and what it is to be checked against.
struct Guess: Sendable {
    let credentials: Credentials?
    /// Whose guesses these are: the account's id, or a digest of an address that nobody has.
    let subject: String
    let lane: GuessLane
    /// How many there have been in a row, with this one; nil when it was not counted and is not to be looked at: the lane has
    /// had all of its guesses, or pauses.
    let number: Int?

    /// Whether the right password is good enough.
    var isOpen: Bool { number != nil }
    /// Whether the lane has no further one.
    var isLast: Bool { number == lane.limit }
    /// What the password is compared with. A closed lane compares it with nothing: how long that takes tells nothing then.
    var passwordHash: Redacted<String>? { isOpen ? credentials?.passwordHash : nil }

    static func subject(unknown email: EmailAddress) throws -> String {
        "sha256:" + (try SHA256.hexHash(Array(email.text.utf8)))
    }
}
