import Crypto
package import Foundation

/// What an authenticator app shows (RFC 6238): written apart from the service, to judge it.
package enum OneTimePassword {
    /// The code of 6 digits.
    ///
    /// - Parameters:
    ///   - secret: Base32 without padding (RFC 4648, section 6), as the service shows it.
    ///   - steps: Of 30 s, after the present one.
    package static func code(secret: String, steps: Int = 0, now: Date = .now) -> String {
        let step = UInt64(now.timeIntervalSince1970 / 30) &+ UInt64(bitPattern: Int64(steps))
        let counter = withUnsafeBytes(of: step.bigEndian) { Data($0) }
        let digest = Data(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: bytes(secret))))
        let offset = Int(digest[19] & 15)
        let number = digest[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        let digits = String(number % 1_000_000)
        return String(repeating: "0", count: 6 - digits.count) + digits
    }

    private static func bytes(_ base32: String) -> Data {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        var (found, bits, count) = (Data(), UInt32(0), 0)
        for character in base32 {
            guard let value = alphabet.firstIndex(of: character) else { continue }
            (bits, count) = (bits << 5 | UInt32(value), count + 5)
            guard count >= 8 else { continue }
            count -= 8
            found.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return found
    }
}
