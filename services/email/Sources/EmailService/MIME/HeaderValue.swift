private import Foundation

/// A header's value: free of line breaks and NUL by construction, so no caller's text can add a header of its own.
struct HeaderValue: Sendable {
    /// Folded, ready to be written behind `Name: `.
    let text: String

    /// Text that this program wrote itself in ASCII: dates, ids, types.
    ///
    /// - Throws: `MIMEError.forbiddenCharacter` for anything but printable ASCII.
    init(token text: String, header: String) throws {
        guard text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else { throw MIMEError.forbiddenCharacter(header) }
        self.text = text
    }

    /// Any text for people (RFC 5322 unstructured): as it is when it is short plain ASCII, else in encoded-words.
    init(unstructured text: String, header: String) throws {
        try Self.refuseControls(text, header)
        self.text = Self.isPlain(text) ? text : EncodedWords.encode(text)
    }

    /// One mailbox: `"Name" <address>`, or the address alone.
    init(mailbox address: String, name: String, header: String) throws {
        try Self.refuseControls(name, header)
        guard MailRules.addressProblem(address) == nil else { throw MIMEError.forbiddenCharacter(header) }
        self.text = name.isEmpty ? address : "\(Self.phrase(name))\(Self.fold)<\(address)>"
    }

    /// Folding white space: a line break that readers see as one space.
    static let fold = "\r\n "
    /// Raw text above this goes into encoded-words, which fold by themselves.
    private static let maximumRaw = 60

    private static func refuseControls(_ text: String, _ header: String) throws {
        if text.hasControlCharacters { throw MIMEError.forbiddenCharacter(header) }
    }

    private static func isPlain(_ text: String) -> Bool {
        text.utf8.count <= maximumRaw && text.utf8.allSatisfy { (0x20...0x7e).contains($0) } && !text.contains("=?")
    }

    /// A display name: quoted when it is plain, else in encoded-words, which must not be quoted (RFC 2047, 5).
    private static func phrase(_ name: String) -> String {
        guard isPlain(name) else { return EncodedWords.encode(name) }
        let escaped = name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(escaped)\""
    }
}

/// RFC 2047 with UTF-8 and base64.
enum EncodedWords {
    /// 45 bytes are 60 of base64; with `=?UTF-8?B?` and `?=` the word stays under the 75 that are allowed.
    static let bytesPerWord = 45

    /// Words of whole characters, one on each line.
    static func encode(_ text: String) -> String {
        var words: [[UInt8]] = [[]]
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if words[words.count - 1].count + bytes.count > bytesPerWord { words.append([]) }
            words[words.count - 1] += bytes
        }
        return words.map { "=?UTF-8?B?\(Data($0).base64EncodedString())?=" }.joined(separator: HeaderValue.fold)
    }
}

enum MIMEError: Error, Equatable {
    /// A value that cannot stand in the named header.
    case forbiddenCharacter(String)
}
