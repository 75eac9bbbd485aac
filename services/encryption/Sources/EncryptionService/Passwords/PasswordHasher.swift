import LibCrypto

/// Why a password cannot be hashed at all.
package enum PasswordProblem: Sendable, Hashable {
    case empty
    /// Longer than what bcrypt reads; hashing it would silently ignore the rest.
    case tooLong
    /// bcrypt would stop at the NUL.
    case containsNUL

    /// For the person who chose it; never repeats the password.
    package var sentence: String {
        switch self {
        case .empty: "It must not be empty."
        case .tooLong: "It must have \(Bcrypt.maximumPasswordCount) bytes of UTF-8 at most."
        case .containsNUL: "It must not contain the NUL character."
        }
    }
}

/// Hashes and verifies passwords with bcrypt `$2b$`, behind a pepper where there is one. Each call takes a core for a tenth of
/// a second or more.
package struct PasswordHasher: Sendable {
    /// Rounds, as powers of two, that configuration may choose from. Ten is OWASP's floor.
    package static let allowedRounds = 10...15
    package static let defaultRounds = 12
    /// Rounds that a stored hash may ask of `verify`: bcrypt has no fewer, and each one more doubles the work.
    static let storedRounds = 4...16

    /// Has the length of what a pepper makes of a password.
    private static let filler = [UInt8](repeating: UInt8(ascii: "-"), count: 44)

    package let rounds: Int
    private let pepper: Pepper?
    private let bcrypt: @Sendable ([UInt8], String) -> String?

    /// `rounds` is held within `allowedRounds`; configuration refuses others before.
    package init(rounds: Int = defaultRounds, pepper: Pepper? = nil) {
        self.init(rounds: rounds, pepper: pepper, bcrypt: Bcrypt.hash)
    }

    /// - Parameter bcrypt: The hash of a phrase for a setting.
    init(rounds: Int, pepper: Pepper? = nil, bcrypt: @escaping @Sendable ([UInt8], String) -> String?) {
        self.pepper = pepper
        self.bcrypt = bcrypt
        self.rounds = min(max(rounds, Self.allowedRounds.lowerBound), Self.allowedRounds.upperBound)
    }

    /// `$2b$12$…` with a fresh salt, or the same behind the pepper: `$hmac-sha256$k=NAME,v=1,f=…$2b$12$…`.
    ///
    /// - Throws: `password`, or what keeps the pepper's key from being used: nothing is hashed without it.
    package func hash(_ password: String) throws(EncryptionError) -> String {
        let version = try pepper?.current()
        var phrase = try phrase(password, version)
        defer { phrase.withUnsafeMutableBytes { wipe($0) } }
        guard let setting = try? Bcrypt.setting(rounds: rounds), let hash = bcrypt(phrase, setting),
            BcryptHash(hash) != nil
        else { throw .cryptoFailed }
        return StoredPassword.text(hash, pepper: version)
    }

    /// Whether the password made this hash, compared in constant time, and whether it should be hashed anew: it is of other
    /// rounds, of another variant, or of another pepper than `hash` makes today.
    ///
    /// It costs what today's rounds cost, also against a hash of fewer: else the time would tell accounts that were imported, or
    /// not used since the rounds were raised, from addresses that nobody has; and of accounts that are refused whatever the
    /// password, whether it was right. Against a hash of more rounds than today's it costs those.
    ///
    /// - Throws: `password`, `malformedHash`; after as much work as any other answer, what keeps the pepper's key from being used.
    package func verify(
        _ password: String, hash text: String
    ) throws(EncryptionError) -> (matches: Bool, needsRehash: Bool) {
        if let problem = Self.problem(password) { throw .password(field: "password", problem) }
        guard let stored = StoredPassword(text), Self.storedRounds.contains(stored.bcrypt.rounds) else { throw .malformedHash }
        var (known, failure): ([UInt8]?, EncryptionError?) = (Array(password.utf8), nil)
        if let version = stored.pepper {
            do throws(EncryptionError) { known = try pepper(version, password) } catch { (known, failure) = (nil, error) }
        }
        // A hash of a version that is too old to be opened matches nothing, and takes as long as any other; so does one whose key
        // cannot be used: how long an answer takes must not tell which accounts have which hash.
        let isOpen = known != nil
        var phrase = known.take() ?? Self.filler
        defer { phrase.withUnsafeMutableBytes { wipe($0) } }
        guard let again = bcrypt(phrase, stored.bcrypt.text) else { throw .malformedHash }
        let matches = constantTimeEqual(Array(again.utf8), Array(stored.bcrypt.text.utf8)) && isOpen
        makeUp(from: stored.bcrypt.rounds, phrase)
        if let failure { throw failure }
        guard matches else { return (false, false) }
        return (true, stored.bcrypt.rounds != rounds || stored.bcrypt.variant != "2b" || isOfAnotherPepper(stored))
    }

    /// Works off what a hash of fewer rounds leaves of today's cost: 2^r + (2^r + ... + 2^(R-1)) = 2^R.
    ///
    /// The pool foresees how long a job waits from what its method took lately, so it knows this time as it is.
    private func makeUp(from stored: Int, _ phrase: [UInt8]) {
        for rounds in stored..<max(stored, rounds) {
            _ = bcrypt(phrase, Self.fillerSetting(rounds: rounds))
        }
    }

    /// What comes of it is nobody's hash, so any salt will do.
    private static func fillerSetting(rounds: Int) -> String {
        "$2b$" + (rounds < 10 ? "0" : "") + "\(rounds)$" + String(repeating: ".", count: 22)
    }

    /// No, while the pepper's key cannot be used: nothing could be hashed anew then.
    private func isOfAnotherPepper(_ stored: StoredPassword) -> Bool {
        do throws(EncryptionError) { return try stored.pepper != pepper?.current() } catch { return false }
    }

    /// What is wrong with a password for bcrypt; nil when nothing is.
    static func problem(_ password: String) -> PasswordProblem? {
        let bytes = password.utf8
        if bytes.isEmpty { return .empty }
        if bytes.contains(0) { return .containsNUL }
        return bytes.count > Bcrypt.maximumPasswordCount ? .tooLong : nil
    }

    /// What bcrypt is given.
    private func phrase(_ password: String, _ version: PepperVersion?) throws(EncryptionError) -> [UInt8] {
        if let problem = Self.problem(password) { throw .password(field: "password", problem) }
        guard let version else { return Array(password.utf8) }
        guard let phrase = try pepper(version, password) else { throw .unknownVersion(key: version.key, version.number) }
        return phrase
    }

    private func pepper(_ version: PepperVersion, _ password: String) throws(EncryptionError) -> [UInt8]? {
        guard let pepper else { throw .pepperUnknown(key: version.key) }
        return try pepper.phrase(Array(password.utf8), version)
    }
}
