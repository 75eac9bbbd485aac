import Synchronization

/// The name of one outside request, the same in every service that it touches: `[A-Za-z0-9_-]`, 1 to 64 bytes.
package enum RequestID {
    /// Bytes of the longest request id.
    package static let maximumLength = 64

    /// A new one: `req_` and 128 random bits in hex.
    package static func make(using random: inout some RandomNumberGenerator) -> String {
        text(random.next(), random.next())
    }

    /// A new one. Request ids have to differ, not to be secret: so the system is asked for randomness only once.
    package static func make() -> String {
        let (high, low) = generator.withLock { ($0.next(), $0.next()) }
        return text(high, low)
    }

    private static let generator = Mutex(Xoshiro())

    /// Whether `text` may be a request id. What a peer sends and is not, is replaced, never logged.
    package static func isValid(_ text: String) -> Bool {
        guard (1...maximumLength).contains(text.utf8.count) else { return false }
        let allowed = allowed
        var text = text
        return text.withUTF8 { $0.allSatisfy { isAllowed($0, allowed) } }
    }

    /// `[A-Za-z0-9_-]`: one bit for each of the 128 characters of ASCII.
    private static let allowed: (low: UInt64, high: UInt64) = {
        var bits: (low: UInt64, high: UInt64) = (0, 0)
        for byte in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8 {
            if byte < 64 { bits.low |= 1 << UInt64(byte) } else { bits.high |= 1 << UInt64(byte - 64) }
        }
        return bits
    }()

    private static func isAllowed(_ byte: UInt8, _ allowed: (low: UInt64, high: UInt64)) -> Bool {
        byte < 128 && (byte < 64 ? allowed.low : allowed.high) >> UInt64(byte & 63) & 1 == 1
    }

    /// The eight digits of a number of 32 bits, the first in the highest byte: all eight at once, for every call has one.
    private static func hexDigits(_ number: UInt64) -> UInt64 {
        var nibbles = (number << 16 | number) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F
        // One in each byte that is a letter: nine and six more reach sixteen.
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return nibbles + 0x3030_3030_3030_3030 + letters * UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
    }

    private static func text(_ high: UInt64, _ low: UInt64) -> String {
        String(unsafeUninitializedCapacity: 36) { bytes in
            var count = 0
            for byte in "req_".utf8 {
                bytes[count] = byte
                count += 1
            }
            let digits = UnsafeMutableRawBufferPointer(bytes)
            for word in [high, low] {
                digits.storeBytes(of: hexDigits(word >> 32).bigEndian, toByteOffset: count, as: UInt64.self)
                digits.storeBytes(of: hexDigits(word & 0xFFFF_FFFF).bigEndian, toByteOffset: count + 8, as: UInt64.self)
                count += 16
            }
            return count
        }
    }
}

/// xoshiro256** 1.0 (Blackman and Vigna, 2018), seeded by the system: fast, and of no use for secrets.
private struct Xoshiro: RandomNumberGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init() {
        var system = SystemRandomNumberGenerator()
        // All zeros would stay so.
        state = (system.next() | 1, system.next(), system.next(), system.next())
    }

    mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }
}
