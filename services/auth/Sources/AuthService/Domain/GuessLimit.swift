internal import LibCrypto
internal import SQL
internal import ServiceKit

/// How often an account's password may be guessed before only its owner's mail helps: at most 100 failures in a row
/// (NIST SP 800-63B-4, 3.2.2), wherever they come from and however long they take.
///
/// There are two lanes, so that a stranger who uses one up does not lock the owner out where the owner usually is.
/// Guesses in a row are counted for each, before the password is looked at; unknown addresses are counted, too.
///
/// | guesses in the lane | the password is | answer | the count is then |
/// |---|---|---|---|
/// | up to its limit | wrong, or the address unknown or unconfirmed | `invalid_credentials` | one more |
/// | up to its limit | right | a session | 0 in both lanes |
/// | beyond its limit | anything | `invalid_credentials`, after the same work | one more |
/// | any | not decided: Encryption away, caller gone | that error | as before |
///
/// A password reset by mail and a confirmation of the address also set both to 0, so nobody is locked out for good.
enum GuessLane: String, SQLValue {
    /// A network from which nobody has signed in to the account lately.
    case stranger
    /// A network from which the owner has, or a session of the account that changes its password.
    case familiar
    /// Codes of authenticator apps at sign-in, which have a limit of their own kind: `CodeLimit`.
    case secondFactor = "second_factor"
    /// The same within a session: whoever has stolen one does not close the owner's sign-in.
    case stepUp = "step_up"
    /// Secrets of a machine client from one network: `ClientGuessLimit`.
    case client

    /// Those of passwords together are NIST's 100.
    var limit: Int {
        switch self {
        case .stranger: 80
        case .familiar: 20
        case .secondFactor: CodeLimit.most
        case .stepUp: CodeLimit.mostInSessions
        case .client: .max
        }
    }
}

/// A guess that has been counted, and what it is to be checked against.
struct Guess: Sendable {
    let credentials: Credentials?
    /// Whose guesses these are: the account's id, or a digest of an address that nobody has.
    let subject: String
    let lane: GuessLane
    /// How many there have been in a row, with this one.
    let number: Int

    /// Whether the right password is good enough.
    var isOpen: Bool { number <= lane.limit }

    static func subject(unknown email: EmailAddress) throws -> String {
        "sha256:" + (try SHA256.hexHash(Array(email.text.utf8)))
    }
}
