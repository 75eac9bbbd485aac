import FoundationEssentials
import LibCrypto

/// The bytes that callers store: `0x01, key version (u32, big-endian), nonce (12), ciphertext, tag (16)`.
struct Ciphertext {
    static let format: UInt8 = 1
    /// Format and version, with which the additional data begins too.
    static var headerCount: Int { VersionedBytes.headerCount }
    /// What sealing adds to a plaintext, in bytes.
    static let overhead = headerCount + AEAD.overhead

    let version: UInt32
    /// Nonce, ciphertext and tag, for as long as the bytes are there that they are part of.
    let sealed: UnsafeRawBufferPointer

    /// Nil when the bytes cannot be a ciphertext.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let version = VersionedBytes.version(bytes, format: Self.format), bytes.count >= Self.overhead else { return nil }
        (self.version, sealed) = (version, UnsafeRawBufferPointer(rebasing: bytes[VersionedBytes.headerCount...]))
    }

    /// The version that the bytes name, be they too few to be opened; nil when they name none.
    static func version(of bytes: Data) -> UInt32? { bytes.withUnsafeBytes { VersionedBytes.version($0, format: format) } }

    /// How many bytes are sealed in so many.
    static func plaintextCount(of count: Int) -> Int { max(0, count - overhead) }

    static func header(version: UInt32) -> [UInt8] { VersionedBytes.header(format, version: version) }

    /// What is authenticated beside the plaintext: format, key name, version, and the caller's context.
    ///
    /// The name carries its length and the context comes last, so that no two inputs have the same bytes.
    static func aad(key: String, version: UInt32, context: some Collection<UInt8>) -> [UInt8] {
        header(version: version) + UInt16(key.utf8.count).bigEndianBytes + Array(key.utf8) + context
    }
}

/// The bytes of a MAC: `0x02, key version (u32, big-endian), HMAC-SHA-256 (32)`.
struct TaggedMAC {
    static let format: UInt8 = 2
    static let count = VersionedBytes.headerCount + 32

    let version: UInt32
    /// For as long as the bytes are there that it is part of.
    let tag: UnsafeRawBufferPointer

    /// Nil when the bytes cannot be a MAC.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let version = VersionedBytes.version(bytes, format: Self.format) else { return nil }
        (self.version, tag) = (version, UnsafeRawBufferPointer(rebasing: bytes[VersionedBytes.headerCount...]))
    }

    /// The version that the bytes name; nil when they name none.
    static func version(of bytes: Data) -> UInt32? { bytes.withUnsafeBytes { VersionedBytes.version($0, format: format) } }

    static func bytes(version: UInt32, tag: [UInt8]) -> [UInt8] { VersionedBytes.header(format, version: version) + tag }
}

/// What both begin with: a format, and a key's version.
private enum VersionedBytes {
    static let headerCount = 5

    /// Nil for another format, or when nothing follows.
    static func version(_ bytes: UnsafeRawBufferPointer, format: UInt8) -> UInt32? {
        guard bytes.count > headerCount, bytes[0] == format else { return nil }
        return bytes[1..<headerCount].reduce(0) { $0 << 8 | UInt32($1) }
    }

    static func header(_ format: UInt8, version: UInt32) -> [UInt8] { [format] + version.bigEndianBytes }
}
