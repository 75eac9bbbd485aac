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

/// Hashes and verifies passwords with bcrypt `$2b$`. Each call takes a core for a tenth of a second or more.
package struct PasswordHasher: Sendable {
    /// Rounds, as powers of two, that configuration may choose from. Ten is OWASP's floor.
    package static let allowedRounds = 10...15
    package static let defaultRounds = 12
    /// The most rounds that a stored hash may ask of `verify`: each one doubles the work.
    static let maximumStoredRounds = 16

    package let rounds: Int

    /// `rounds` is held within `allowedRounds`; configuration refuses others before.
    package init(rounds: Int = defaultRounds) {
        self.rounds = min(max(rounds, Self.allowedRounds.lowerBound), Self.allowedRounds.upperBound)
    }

    /// `$2b$12$…` with a fresh salt.
    package func hash(_ password: String) throws(EncryptionError) -> String {
        let phrase = try phrase(password)
        guard let setting = try? Bcrypt.setting(rounds: rounds), let hash = Bcrypt.hash(phrase, setting: setting),
            BcryptHash(hash) != nil
        else { throw .cryptoFailed }
        return hash
    }

    /// Whether the password made this hash, compared in constant time, and whether it should be hashed anew.
    package func verify(
        _ password: String, hash text: String
    ) throws(EncryptionError) -> (matches: Bool, needsRehash: Bool) {
        let phrase = try phrase(password)
        guard let stored = BcryptHash(text), stored.rounds <= Self.maximumStoredRounds,
            let again = Bcrypt.hash(phrase, setting: stored.text)
        else { throw .malformedHash }
        let matches = constantTimeEqual(Array(again.utf8), Array(stored.text.utf8))
        return (matches, matches && (stored.rounds != rounds || stored.variant != "2b"))
    }

    /// What is wrong with a password for bcrypt; nil when nothing is.
    static func problem(_ password: String) -> PasswordProblem? {
        let bytes = password.utf8
        if bytes.isEmpty { return .empty }
        if bytes.contains(0) { return .containsNUL }
        return bytes.count > Bcrypt.maximumPasswordCount ? .tooLong : nil
    }

    private func phrase(_ password: String) throws(EncryptionError) -> [UInt8] {
        if let problem = Self.problem(password) { throw .password(field: "password", problem) }
        return Array(password.utf8)
    }
}
