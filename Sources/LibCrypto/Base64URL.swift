package import FoundationEssentials

/// base64url without padding (RFC 4648 section 5, RFC 7515 section 2).
package enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The value of each ASCII character, 255 where it has none.
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()

    /// The canonical text of these bytes.
    package static func encode(_ bytes: some ContiguousBytes) -> String {
        bytes.withUnsafeBytes { source in
            let count = (source.count * 8 + 5) / 6
            return String(unsafeUninitializedCapacity: count) { target in
                var accumulator: UInt32 = 0
                var bits = 0
                var written = 0
                for byte in source {
                    accumulator = accumulator << 8 | UInt32(byte)
                    bits += 8
                    while bits >= 6 {
                        bits -= 6
                        target[written] = alphabet[Int(accumulator >> UInt32(bits) & 63)]
                        written += 1
                    }
                }
                if bits > 0 {
                    target[written] = alphabet[Int(accumulator << UInt32(6 - bits) & 63)]
                    written += 1
                }
                return written
            }
        }
    }

    /// The bytes, or nil. Strict: padding, white space, the other alphabet, an impossible length and unused bits that
    /// are not zero are refused, so that one byte string has exactly one text (RFC 4648 section 3.5).
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let source = text.utf8
        let length = source.count
        guard length % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length * 6 / 8)
        var accumulator: UInt32 = 0
        var bits = 0
        for character in source {
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            accumulator = accumulator << 6 | UInt32(value)
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: accumulator >> UInt32(bits)))
        }
        guard accumulator & (1 << UInt32(bits) - 1) == 0 else { return nil }
        return bytes
    }
}
