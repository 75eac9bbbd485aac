internal import SQL

/// How a user has shown who they are, in the words of RFC 8176, each once.
///
/// | shown | words |
/// |---|---|
/// | a password | `pwd` |
/// | a code of an app (RFC 6238) | `otp` |
/// | a recovery code | `otp`: a password that works once, which is the nearest word that the registry has |
/// | two different factors | `mfa` beside them |
/// | a passkey | `pop`, `user` and `mfa`: the possession of a key, and who has it |
struct AuthenticationMethods: Sendable, Hashable, SQLValue {
    let words: [String]

    init(_ words: [String]) {
        self.words = words.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    static let password = AuthenticationMethods(["pwd"])
    static let oneTimePassword = AuthenticationMethods(["otp"])

    private static let multiple = "mfa"

    var areMultiple: Bool { words.contains(Self.multiple) }

    /// These, and another factor that the same user has shown.
    func with(_ other: AuthenticationMethods) -> AuthenticationMethods {
        let all = AuthenticationMethods((words + other.words).filter { $0 != Self.multiple })
        let areMultiple = areMultiple || other.areMultiple || all.words.count > 1
        return AuthenticationMethods(all.words + (areMultiple ? [Self.multiple] : []))
    }

    // In one column, between spaces.
    var sqlValue: Value { .text(words.joined(separator: " ")) }

    init?(sqlValue: Value) {
        guard let text = String(sqlValue: sqlValue) else { return nil }
        self.init(text.roleList)
    }
}

/// How, how well and when the user of a session was last authenticated: `amr`, `acr` and `auth_time` of its access tokens.
struct Authentication: Sendable, Hashable {
    var methods: AuthenticationMethods
    var at: Timestamp

    /// `acr`. A URI, as OpenID Connect Core 1.0 (section 2) would have it: the assurance levels of NIST SP 800-63B-4.
    var level: String { Self.levels + (methods.areMultiple ? "aal2" : "aal1") }

    /// Seconds since 1970.
    var seconds: Int64 { at.microseconds / 1_000_000 }

    private static let levels = "https://lockstep.local/acr/"
}
