/// Why a password may not be chosen.
package struct StrengthReason: Sendable, Hashable {
    /// For programs: `too_short`, `too_long`, `contains_nul`, `common`, `blocklisted`, `contains_context`.
    package let code: String
    /// For the person who chooses.
    package let message: String
}

/// Whether a password may be chosen: long enough, not the guess that everyone makes, not the person's own address.
///
/// No composition rules (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS 5.0 6.2.5): length is what helps.
package struct PasswordStrength: Sendable {
    /// Characters that configuration may ask for. Fifteen is NIST's minimum for a password alone.
    package static let allowedMinimum = 8...64
    package static let defaultMinimum = 15
    /// Beside a second factor (NIST SP 800-63B-4 section 3.1.1.2).
    package static let defaultMinimumWithSecondFactor = 8
    /// Context words shorter than this say nothing.
    private static let shortestContextWord = 4
    /// What must be left of a password when the context words are taken out of it, in characters.
    private static let leftBesideContext = 8
    /// The longest unit whose repetition counts as common.
    private static let longestUnit = 8

    package let minimum: Int
    package let minimumWithSecondFactor: Int
    private let contextWords: [String]
    private let blocklist: Blocklist?

    /// - Parameters:
    ///   - minimum: Held within `allowedMinimum`, and so is the other; configuration refuses others before.
    ///   - contextWords: What must not make up anybody's password: the product's name.
    package init(
        minimum: Int = defaultMinimum, minimumWithSecondFactor: Int = defaultMinimumWithSecondFactor, contextWords: [String] = []
    ) {
        self.init(minimum: minimum, minimumWithSecondFactor: minimumWithSecondFactor, contextWords: contextWords, blocklist: nil)
    }

    init(minimum: Int, minimumWithSecondFactor: Int, contextWords: [String], blocklist: Blocklist?) {
        func held(_ count: Int) -> Int { min(max(count, Self.allowedMinimum.lowerBound), Self.allowedMinimum.upperBound) }
        self.minimum = held(minimum)
        self.minimumWithSecondFactor = held(minimumWithSecondFactor)
        self.contextWords = contextWords
        self.blocklist = blocklist
    }

    /// The fewest characters of a password that is asked for alone, or together with a second factor.
    package func minimum(withSecondFactor: Bool) -> Int { withSecondFactor ? minimumWithSecondFactor : minimum }

    /// Characters are Unicode code points, as NIST counts them.
    package func isLongEnough(_ password: String, withSecondFactor: Bool) -> Bool {
        password.unicodeScalars.count >= minimum(withSecondFactor: withSecondFactor)
    }

    /// All that speaks against the password; empty when it may be chosen.
    ///
    /// - Parameters:
    ///   - contextWords: What others know of the person: address, name.
    ///   - withSecondFactor: Whether the password is never enough by itself.
    package func reasons(_ password: String, contextWords: [String], withSecondFactor: Bool = false) -> [StrengthReason] {
        var reasons: [StrengthReason] = []
        if !isLongEnough(password, withSecondFactor: withSecondFactor) {
            let minimum = minimum(withSecondFactor: withSecondFactor)
            reasons.append(StrengthReason(code: "too_short", message: "Use at least \(minimum) characters."))
        }
        if password.utf8.count > Bcrypt.maximumPasswordCount {
            let most = Bcrypt.maximumPasswordCount
            reasons.append(
                StrengthReason(
                    code: "too_long",
                    message: "Use at most \(most) bytes: \(most) plain letters and digits, fewer of other characters."))
        }
        if password.utf8.contains(0) {
            reasons.append(StrengthReason(code: "contains_nul", message: "Do not use the NUL character."))
        }
        let foldedText = PasswordList.folded(password)
        let folded = Array(foldedText.unicodeScalars.map(Character.init))
        if isCommon(folded) {
            reasons.append(
                StrengthReason(code: "common", message: "This is among the passwords that are tried first."))
        }
        if let blocklist, blocklist.contains(foldedText) {
            reasons.append(StrengthReason(code: "blocklisted", message: "This is on the list of passwords that are refused here."))
        }
        if isMadeOfContext(folded, contextWords + self.contextWords) {
            reasons.append(
                StrengthReason(
                    code: "contains_context", message: "Do not build it from your address, your name or this service."))
        }
        return reasons
    }

    /// In the list, two of the list joined, one short piece over and over, or a run such as `abcdefgh` or `87654321`.
    private func isCommon(_ password: [Character]) -> Bool {
        let text = String(password)
        guard password.count > 1 else { return true }
        if CommonPasswords.contains(text) || isRepetition(password) || isRun(password) { return true }
        guard password.count <= 2 * CommonPasswords.longest else { return false }
        return (1..<password.count).contains { split in
            CommonPasswords.contains(String(password[..<split])) && CommonPasswords.contains(String(password[split...]))
        }
    }

    private func isRepetition(_ password: [Character]) -> Bool {
        let longest = min(Self.longestUnit, password.count / 2)
        guard longest >= 1 else { return false }
        return (1...longest).contains { unit in
            password.indices.dropFirst(unit).allSatisfy { password[$0] == password[$0 - unit] }
        }
    }

    private func isRun(_ password: [Character]) -> Bool {
        let values = password.compactMap { $0.unicodeScalars.first.map { Int($0.value) } }
        let steps = zip(values.dropFirst(), values).map { $0 - $1 }
        // 1234567890 turns from 9 to 0.
        return steps.allSatisfy { $0 == 1 || $0 == -9 } || steps.allSatisfy { $0 == -1 || $0 == 9 }
    }

    private func isMadeOfContext(_ password: [Character], _ contextWords: [String]) -> Bool {
        let words = Set(contextWords.flatMap(Self.parts)).sorted { ($0.count, $0) > ($1.count, $1) }
        let whole = String(password)
        let left = words.reduce(whole) { $0.split(separator: $1).joined() }.unicodeScalars.count
        return left < whole.unicodeScalars.count && left < Self.leftBesideContext
    }

    /// A context word and its pieces: of `Jo.Smith@clinic.example` also `jo.smith`, `smith` and `clinic`.
    private static func parts(_ word: String) -> [String] {
        let folded = PasswordList.folded(word)
        let local = String(folded.prefix { $0 != "@" })
        let pieces = folded.split { !$0.isLetter && !$0.isNumber }.map(String.init)
        return ([folded, local] + pieces).filter { $0.count >= shortestContextWord }
    }
}
