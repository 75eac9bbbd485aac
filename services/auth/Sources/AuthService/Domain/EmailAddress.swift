/// A normalised address: trimmed, lower case, one mailbox at one domain. Two spellings of one address are equal.
///
/// Dots and `+tags` are kept, since only the receiving domain knows what they mean.
package struct EmailAddress: Sendable, Hashable {
    package let text: String

    /// The longest address that SMTP carries (RFC 5321, 4.5.3.1), bytes.
    private static let maximumLength = 254
    private static let maximumLocalLength = 64
    private static let maximumLabelLength = 63

    /// - Throws: `AuthError.invalidField` naming `field`.
    package init(_ raw: String, field: String = "email") throws {
        let text = raw.trimmingSpaces().lowercased()
        if let problem = Self.problem(text) { throw AuthError.invalidField(field, problem) }
        self.text = text
    }

    /// An address that has been through `init` before: from the database.
    init(stored text: String) {
        self.text = text
    }

    /// Words that must not make up a password: the address and the part before the `@`.
    var words: [String] {
        [text] + text.split(separator: "@").prefix(1).map(String.init)
    }

    private static func problem(_ text: String) -> String? {
        if text.isEmpty { return "An address is needed." }
        if text.utf8.count > maximumLength { return "An address has at most \(maximumLength) bytes." }
        if !text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
            return "An address has no spaces, control characters or characters beyond ASCII (use the xn-- form)."
        }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return "An address has exactly one @." }
        if !isLocalPart(parts[0]) { return "The part before the @ is not valid." }
        if !isDomain(parts[1]) { return "The domain after the @ is not valid." }
        return nil
    }

    /// dot-atom of RFC 5322, 3.2.3.
    private static func isLocalPart(_ part: Substring) -> Bool {
        (1...maximumLocalLength).contains(part.utf8.count)
            && part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { atom in
                !atom.isEmpty && atom.utf8.allSatisfy { isAlphanumeric($0) || atomSymbols.contains($0) }
            }
    }

    /// Letters, digits and hyphens in at least two labels (RFC 5321, 2.3.5).
    private static func isDomain(_ domain: Substring) -> Bool {
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count >= 2
            && labels.allSatisfy { label in
                (1...maximumLabelLength).contains(label.utf8.count)
                    && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                    && label.first != "-" && label.last != "-"
            }
    }

    private static let atomSymbols = Set("!#$%&'*+-/=?^_`{|}~".utf8)

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension String {
    /// Without spaces and tabs at either end. Line ends are kept: they are refused, not repaired.
    fileprivate func trimmingSpaces() -> String {
        let isSpace = { (character: Character) in character == " " || character == "\t" }
        let head = drop(while: isSpace)
        return String(head.reversed().drop(while: isSpace).reversed())
    }
}
