internal import LibCrypto
internal import SQL
internal import ServiceKit

/// What a user typed as a second factor.
enum SecondFactorCode: Sendable {
    /// Six digits of an app.
    case totp(Redacted<String>)
    case recovery(RecoveryCode)

    /// Spaces and hyphens are for reading; nil for what can be neither.
    init?(_ text: String) {
        let code = text.uppercased().filter { $0 != " " && $0 != "-" }
        if code.utf8.count == TOTP.digits, code.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            self = .totp(Redacted(code))
        } else if let code = RecoveryCode(code) {
            self = .recovery(code)
        } else {
            return nil
        }
    }
}

/// A code that signs in once in place of an app. 120 random bits, so a plain digest of it is enough (ASVS 6.5.2), and
/// nobody guesses one.
struct RecoveryCode: Sendable {
    static let perUser = 10
    private static let length = 15
    private static let group = 6

    /// Base32, upper case, without hyphens.
    let text: Redacted<String>

    init() throws { text = Redacted(Base32.encode(try RandomBytes.generate(Self.length))) }

    init?(_ text: String) {
        guard text.utf8.count == Self.length * 8 / 5, Base32.isEncoded(text) else { return nil }
        self.text = Redacted(text)
    }

    /// What is stored: of one user, so that equal codes of two would not meet.
    func hash(user: String) throws -> [UInt8] { try SHA256.hash(Array("\(user) \(text.exposed)".utf8)) }

    /// In groups, for people.
    var shown: String {
        let characters = Array(text.exposed)
        return stride(from: 0, to: characters.count, by: Self.group).map { start in
            String(characters[start..<min(start + Self.group, characters.count)])
        }.joined(separator: "-")
    }
}

/// A second factor that was right when it was looked at. The transaction that follows uses it up; of many at once with
/// one code, one succeeds.
enum SecondFactorProof: Sendable {
    case totp(factor: String, step: Int64)
    case recovery(hash: [UInt8])
}

/// What a user has to show in a session beside the password.
package struct StepUpWays: Sendable, Equatable {
    package let hasApp: Bool
    package let hasRecoveryCodes: Bool
    package let hasPasskey: Bool

    /// Recovery codes alone are none: they stand in for an app.
    var isEmpty: Bool { !hasApp && !hasPasskey }

    /// Which of them the user has, and where each is shown.
    var sentence: String {
        var codes: [String] = []
        if hasApp { codes.append("a code of your app") }
        if hasRecoveryCodes { codes.append("a recovery code") }
        var ways: [String] = []
        if !codes.isEmpty { ways.append("\(codes.joined(separator: " or ")) (POST /v1/sessions/current/second-factors)") }
        if hasPasskey { ways.append("a passkey (POST /v1/sessions/current/passkey-challenges)") }
        return "Show a second factor first: \(ways.joined(separator: ", or "))."
    }
}

/// How often codes of apps may be guessed. There are a million, and three are good at any time.
///
/// | wrong codes in a row | a code of an app | a recovery code |
/// |---|---|---|
/// | up to `burst`, and after each further `burst` | is looked at | is looked at |
/// | a multiple of `burst` | is refused for `pause` after the last | is looked at |
/// | `most` | is refused | is looked at |
///
/// Codes at sign-in and codes within sessions are counted apart: whoever has stolen a session may use up the latter, and the
/// owner signs in. A right code of either kind sets both counts to 0. Refused and wrong are one answer. Who gets this far has the password,
/// so a stranger cannot use it to lock somebody out; and who is locked out has recovery codes, or an admin.
enum CodeLimit {
    static let burst = 5
    static let pause: Duration = .seconds(900)
    /// At most 100 failures in a row (NIST SP 800-63B-4, 3.2.2), those of sign-in and of sessions together.
    static let most = 80
    static let mostInSessions = 20
}

/// An enrolled app.
struct Factor: Sendable {
    let id: String
    let name: String
    let sealedSecret: [UInt8]
    let createdAt: Timestamp
    let confirmedAt: Timestamp?
    let lastUsedAt: Timestamp?
    let lastStep: Int64
}

/// A sign-in whose password was right, until its second step.
struct Challenge: Sendable {
    let token: OpaqueToken
    let userID: String
}
