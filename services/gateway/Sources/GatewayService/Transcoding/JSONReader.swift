/// Where and why text is not JSON. Never holds a piece of the text.
package struct JSONError: Error, Sendable, Hashable {
    /// A few words: `an unexpected character`.
    package let reason: String
    /// Both from 1; columns count bytes.
    package let line: Int
    package let column: Int
}

/// Reads one JSON text as RFC 8259 has it, no more.
///
/// Not Foundation's parser, because this is where foreign bytes come in: that one takes trailing commas and a byte
/// order mark, drops repeated members, and says no position, so the services would see something else than what was
/// checked. Depth is bounded, which bounds the stack.
package struct JSONReader {
    /// Objects and arrays inside each other.
    package static let maximumDepth = 32

    private let bytes: [UInt8]
    private var index = 0

    /// - Throws: `JSONError`.
    package static func read(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw reader.error("it is not UTF-8") }
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.index == bytes.count else { throw reader.error("something follows its end") }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case nil: throw error("it ends too early")
        default: return .number(try number())
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        try enter(depth)
        var members: [JSONValue.Member] = []
        if takeAfterSpace("}") { return .object(members) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("a member's name in quotes was expected") }
            let name = try string()
            guard takeAfterSpace(":") else { throw error("a colon was expected") }
            members.append(JSONValue.Member(name, try value(depth: depth)))
            if takeAfterSpace("}") { return .object(members) }
            guard takeAfterSpace(",") else { throw error("a comma or a closing brace was expected") }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        try enter(depth)
        var items: [JSONValue] = []
        if takeAfterSpace("]") { return .array(items) }
        while true {
            items.append(try value(depth: depth))
            if takeAfterSpace("]") { return .array(items) }
            guard takeAfterSpace(",") else { throw error("a comma or a closing bracket was expected") }
        }
    }

    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth <= Self.maximumDepth else { throw error("it is nested too deeply") }
        index += 1
    }

    private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for expected in text.description.utf8 {
            guard peek == expected else { throw error("an unexpected character") }
            index += 1
        }
        return value
    }

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func takeAfterSpace(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        return take(character)
    }

    private func error(_ reason: String) -> JSONError {
        let before = bytes.prefix(index)
        let line = before.count { $0 == 0x0a } + 1
        let start = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        return JSONError(reason: reason, line: line, column: index - start + 1)
    }
}

// MARK: - Numbers and strings

extension JSONReader {
    /// RFC 8259, section 6.
    private mutating func number() throws(JSONError) -> String {
        let start = index
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func digits() throws(JSONError) {
        let start = index
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        guard index > start else { throw error(start == bytes.count ? "it ends too early" : "an unexpected character") }
    }

    /// RFC 8259, section 7.
    private mutating func string() throws(JSONError) -> String {
        index += 1
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                index += 1
                text += try escape()
            case 0..<0x20: throw error("a control character in a string")
            default:
                text.append(byte)
                index += 1
            }
        }
        throw error("it ends too early")
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
        UInt8(ascii: "/"): UInt8(ascii: "/"), UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0c,
        UInt8(ascii: "n"): 0x0a, UInt8(ascii: "r"): 0x0d, UInt8(ascii: "t"): 0x09,
    ]

    /// The bytes of the character behind a backslash.
    private mutating func escape() throws(JSONError) -> [UInt8] {
        if take("u") { return Array(String(Character(try unicodeScalar())).utf8) }
        guard let byte = peek, let character = Self.escapes[byte] else { throw error("an invalid escape") }
        index += 1
        return [character]
    }

    /// One scalar, of two escapes where it needs a surrogate pair. A lone surrogate is no character.
    private mutating func unicodeScalar() throws(JSONError) -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(UInt32(first)) { return scalar }
        guard (0xd800..<0xdc00).contains(first), take("\\"), take("u") else { throw error("a lone surrogate") }
        let second = try codeUnit()
        guard (0xdc00..<0xe000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + UInt32(first - 0xd800) << 10 + UInt32(second - 0xdc00))
        else { throw error("a lone surrogate") }
        return scalar
    }

    private mutating func codeUnit() throws(JSONError) -> UInt16 {
        let end = index + 4
        guard end <= bytes.count else { throw error("it ends too early") }
        let digits = bytes[index..<end]
        let isHex = digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }
        guard isHex, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw error("an invalid escape")
        }
        index = end
        return unit
    }
}
