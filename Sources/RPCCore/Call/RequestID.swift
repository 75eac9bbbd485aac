/// The name of one outside request, the same in every service that it touches: `[A-Za-z0-9_-]`, 1 to 64 bytes.
package enum RequestID {
    /// Bytes of the longest request id.
    package static let maximumLength = 64

    /// A new one: `req_` and 128 random bits in hex.
    package static func make(using random: inout some RandomNumberGenerator) -> String {
        "req_" + hex(random.next()) + hex(random.next())
    }

    /// A new one from the system's generator.
    package static func make() -> String {
        var random = SystemRandomNumberGenerator()
        return make(using: &random)
    }

    /// Whether `text` may be a request id. What a peer sends and is not, is replaced, never logged.
    package static func isValid(_ text: String) -> Bool {
        (1...maximumLength).contains(text.utf8.count) && text.utf8.allSatisfy(isAllowed)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
