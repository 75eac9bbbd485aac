internal import LibCrypto
internal import ServiceKit

/// One-time codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits and steps of 30 seconds, which is what
/// all apps know.
enum TOTP {
    /// Seconds of a time step (RFC 6238, 4.1: X).
    static let period: Int64 = 30
    static let digits = 6
    /// Steps before and after the present one whose codes are taken, too (RFC 6238, 5.2): the clocks of phones differ, and
    /// people type slowly.
    static let window: Int64 = 1
    /// Bytes of a secret: those of SHA-1's output (RFC 4226, 4: R6).
    static let secretLength = 20

    static func step(at time: Timestamp) -> Int64 { time.microseconds / 1_000_000 / period }

    /// The code of a step (RFC 4226, 5.3).
    static func code(_ secret: [UInt8], step: Int64) throws -> String {
        let counter = withUnsafeBytes(of: UInt64(bitPattern: step).bigEndian) { Array($0) }
        let tag = try HMACSHA1.authenticate(counter, key: secret)
        let offset = Int(tag[tag.count - 1] & 0x0f)
        let number = tag[offset..<(offset + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
        let text = String(number % 1_000_000)
        return String(repeating: "0", count: digits - text.count) + text
    }

    /// The step of which `code` is the code, after the last that was taken: none is taken twice (RFC 6238, 5.2). Every
    /// step of the window is compared, each in constant time.
    static func matchingStep(_ code: String, _ secret: [UInt8], now: Timestamp, after last: Int64) throws -> Int64? {
        let present = step(at: now)
        var match: Int64?
        for step in (present - window)...(present + window) {
            let isEqual = constantTimeEqual(Array(try self.code(secret, step: step).utf8), Array(code.utf8))
            if isEqual, step > last { match = step }
        }
        return match
    }

    /// What an app reads as a QR code (the Key Uri Format of Google Authenticator).
    static func uri(_ secret: [UInt8], issuer: String, account: String) -> String {
        let (issuer, account) = (percentEncoded(issuer), percentEncoded(account))
        return "otpauth://totp/\(issuer):\(account)?secret=\(Base32.encode(secret))&issuer=\(issuer)"
            + "&algorithm=SHA1&digits=\(digits)&period=\(period)"
    }

    /// All but RFC 3986's unreserved characters.
    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isUnreserved = (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x61...0x7a).contains(byte) || "-._~".utf8.contains(byte)
            return isUnreserved ? String(Unicode.Scalar(byte)) : "%" + Hex.encode([byte]).uppercased()
        }.joined()
    }
}

/// Base32 without padding (RFC 4648, section 6): what people can read aloud and type.
enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")

    static func encode(_ bytes: [UInt8]) -> String {
        var text = ""
        var (buffer, bits) = (UInt32(0), 0)
        for byte in bytes {
            buffer = (buffer << 8 | UInt32(byte)) & 0xffff
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(alphabet[Int(buffer >> UInt32(bits) & 31)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(5 - bits) & 31)]) }
        return text
    }

    static func isEncoded(_ text: String) -> Bool { text.allSatisfy(alphabet.contains) }
}
