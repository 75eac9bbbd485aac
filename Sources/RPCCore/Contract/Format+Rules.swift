extension Format {
    /// Whether `text` is of this format.
    package func accepts(_ text: String) -> Bool {
        switch self {
        case .email: EmailSyntax.accepts(text)
        case .identifier: !text.isEmpty && text.utf8.allSatisfy(Self.isIdentifierByte)
        }
    }

    /// The rule as a sentence for people.
    package var advice: String {
        switch self {
        case .email: "This is not an email address."
        case .identifier: "Only letters, digits, - and _."
        }
    }

    private static func isIdentifierByte(_ byte: UInt8) -> Bool {
        byte.isLetterOrDigit || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}

/// One addr-spec as RFC 5321 section 4.1.2 has it, less the forms that no mailbox in use has: quoted local parts and
/// address literals. ASCII only, so neither control characters nor look-alikes.
private enum EmailSyntax {
    /// RFC 5321 section 4.5.3.1.3, less the angle brackets of a path.
    static let maximumLength = 254
    /// RFC 5321 section 4.5.3.1.1.
    static let maximumLocalPart = 64
    /// RFC 1035 section 2.3.4.
    static let maximumLabel = 63
    /// RFC 5322 section 3.2.3, beside letters and digits.
    static let atextMarks = Set("!#$%&'*+-/=?^_`{|}~".utf8)

    static func accepts(_ text: String) -> Bool {
        guard text.utf8.count <= maximumLength else { return false }
        let sides = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        return sides.count == 2 && isLocalPart(sides[0]) && isDomain(sides[1])
    }

    private static func isLocalPart(_ bytes: Substring.UTF8View) -> Bool {
        bytes.count <= maximumLocalPart && parts(bytes).allSatisfy { !$0.isEmpty && $0.allSatisfy(isAtext) }
    }

    private static func isAtext(_ byte: UInt8) -> Bool { byte.isLetterOrDigit || atextMarks.contains(byte) }

    private static func isDomain(_ bytes: Substring.UTF8View) -> Bool { parts(bytes).allSatisfy(isLabel) }

    private static func isLabel(_ bytes: Substring.UTF8View) -> Bool {
        let hyphen = UInt8(ascii: "-")
        return (1...maximumLabel).contains(bytes.count) && bytes.first != hyphen && bytes.last != hyphen
            && bytes.allSatisfy { $0.isLetterOrDigit || $0 == hyphen }
    }

    private static func parts(_ bytes: Substring.UTF8View) -> [Substring.UTF8View] {
        bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    }
}

extension UInt8 {
    fileprivate var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
