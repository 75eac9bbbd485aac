import Synchronization

/// The name of one outside request, the same in every service that it touches: `[A-Za-z0-9_-]`, 1 to 64 bytes.
///
/// One that was made here is held as its number, wherever it comes to: every call has one, and its text is seldom read.
package struct RequestID: Sendable, Hashable {
    private enum Form: Sendable, Hashable {
        case number(high: UInt64, low: UInt64)
        case text(String)
    }

    private let form: Form

    /// A new one. Request ids have to differ, not to be secret: so the system is asked for randomness only once.
    package init() {
        let (high, low) = Self.generator.withLock { ($0.next(), $0.next()) }
        form = .number(high: high, low: low)
    }

    /// Nil for what may be no request id.
    package init?(_ text: String) {
        var text = text
        guard let known = text.withUTF8({ RequestID(utf8: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = known
    }

    /// The same for text as it travels.
    package init?(utf8 bytes: UnsafeRawBufferPointer) {
        if let (high, low) = Self.number(in: bytes) {
            form = .number(high: high, low: low)
        } else {
            guard Self.isValid(bytes) else { return nil }
            form = .text(String(decoding: bytes, as: UTF8.self))
        }
    }

    package var text: String {
        switch form {
        case .number(let high, let low): Self.text(high, low)
        case .text(let text): text
        }
    }

    /// Bytes of the text.
    package var size: Int {
        switch form {
        case .number: Self.madeSize
        case .text(let text): text.utf8.count
        }
    }

    /// Writes the text to memory that has room for `size` bytes.
    package func write(to bytes: UnsafeMutableRawBufferPointer) {
        switch form {
        case .number(let high, let low): Self.write(high, low, to: bytes)
        case .text(let text): bytes.copyBytes(from: text.utf8)
        }
    }

    /// Bytes of the longest request id.
    package static let maximumLength = 64

    /// A new one: `req_` and 128 random bits in hex.
    package static func make(using random: inout some RandomNumberGenerator) -> String {
        text(random.next(), random.next())
    }

    /// The text of a new one.
    package static func make() -> String { RequestID().text }

    private static let generator = Mutex(Xoshiro())

    /// Whether `text` may be a request id. What a peer sends and is not, is replaced, never logged.
    package static func isValid(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { isValid(UnsafeRawBufferPointer($0)) }
    }

    private static func isValid(_ text: UnsafeRawBufferPointer) -> Bool {
        let allowed = allowed
        return (1...maximumLength).contains(text.count) && text.allSatisfy { isAllowed($0, allowed) }
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

    // MARK: `req_` and 32 digits

    private static let madeSize = 36
    /// `req_`
    private static let prefix: UInt32 = 0x7265_715F

    private static func text(_ high: UInt64, _ low: UInt64) -> String {
        String(unsafeUninitializedCapacity: madeSize) { bytes in
            write(high, low, to: UnsafeMutableRawBufferPointer(bytes))
            return madeSize
        }
    }

    private static func write(_ high: UInt64, _ low: UInt64, to bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBytes(of: prefix.bigEndian, as: UInt32.self)
        bytes.storeBytes(of: digits(high >> 32).bigEndian, toByteOffset: 4, as: UInt64.self)
        bytes.storeBytes(of: digits(high & 0xFFFF_FFFF).bigEndian, toByteOffset: 12, as: UInt64.self)
        bytes.storeBytes(of: digits(low >> 32).bigEndian, toByteOffset: 20, as: UInt64.self)
        bytes.storeBytes(of: digits(low & 0xFFFF_FFFF).bigEndian, toByteOffset: 28, as: UInt64.self)
    }

    /// The number in a text of just that form; nil for any other, be it as good.
    private static func number(in bytes: UnsafeRawBufferPointer) -> (high: UInt64, low: UInt64)? {
        guard bytes.count == madeSize, UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)) == prefix,
            let first = half(in: bytes, at: 4), let second = half(in: bytes, at: 12),
            let third = half(in: bytes, at: 20), let fourth = half(in: bytes, at: 28)
        else { return nil }
        return (first << 32 | second, third << 32 | fourth)
    }

    /// The digits of a number of 32 bits, the first in the highest byte: all eight at once.
    private static func digits(_ number: UInt64) -> UInt64 {
        var nibbles = (number << 16 | number) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F
        // One in each byte that is a letter: ten and six reach sixteen.
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return nibbles + 0x3030_3030_3030_3030 + letters * UInt64(UInt8(ascii: "a") - UInt8(ascii: "0") - 10)
    }

    /// The number that eight digits stand for; nil when they are none, or large letters.
    private static func half(in bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
        let text = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        var number = (text & 0x0F0F_0F0F_0F0F_0F0F) &+ (text >> 6 & 0x0101_0101_0101_0101) &* 9
        number = (number >> 4 | number) & 0x00FF_00FF_00FF_00FF
        number = (number >> 8 | number) & 0x0000_FFFF_0000_FFFF
        number = (number >> 16 | number) & 0xFFFF_FFFF
        return digits(number) == text ? number : nil
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
