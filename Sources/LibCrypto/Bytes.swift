package import FoundationEssentials

/// Whether two byte strings are equal, in time that depends on their lengths only.
package func constantTimeEqual(_ left: some ContiguousBytes, _ right: some ContiguousBytes) -> Bool {
    left.withUnsafeBytes { a in
        right.withUnsafeBytes { b in
            guard a.count == b.count else { return false }
            var difference: UInt8 = 0
            for index in a.indices { difference |= a[index] ^ b[index] }
            return difference == 0
        }
    }
}

/// Lower-case hexadecimal.
package enum Hex {
    private static let alphabet = Array("0123456789abcdef".utf8)

    /// Two lower-case digits per byte.
    package static func encode(_ bytes: some ContiguousBytes) -> String {
        bytes.withUnsafeBytes { source in
            String(unsafeUninitializedCapacity: source.count * 2) { target in
                for (index, byte) in source.enumerated() {
                    target[index * 2] = alphabet[Int(byte >> 4)]
                    target[index * 2 + 1] = alphabet[Int(byte & 15)]
                }
                return source.count * 2
            }
        }
    }

    /// The same as bytes of text, in one piece of memory: whoever encodes a secret can wipe it.
    package static func digits(_ bytes: [UInt8]) -> [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity(2 * bytes.count)
        for byte in bytes {
            digits.append(alphabet[Int(byte >> 4)])
            digits.append(alphabet[Int(byte & 15)])
        }
        return digits
    }

    /// Whether it is a digit, of either case.
    package static func isDigit(_ character: UInt8) -> Bool { value(of: character) != nil }

    /// The bytes, or nil when the text has an odd length or a character that is no digit. Takes both cases.
    package static func decode(_ text: String) -> [UInt8]? { decode(text.utf8) }

    /// The same of text as bytes. Nothing is left behind of what is decoded.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var high: UInt8?
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2)
        for character in text {
            guard let digit = value(of: character) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? bytes : nil
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
