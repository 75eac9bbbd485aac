/// The bytes that callers store: `0x01, key version (u32, big-endian), nonce (12), ciphertext, tag (16)`.
struct Ciphertext {
    static let format: UInt8 = 1

    let version: UInt32
    /// Nonce, ciphertext and tag.
    let sealed: ArraySlice<UInt8>

    /// Nil when the bytes cannot be a ciphertext.
    init?(_ bytes: [UInt8]) {
        guard let parts = VersionedBytes(bytes, format: Self.format) else { return nil }
        (version, sealed) = (parts.version, parts.content)
    }

    static func header(version: UInt32) -> [UInt8] { VersionedBytes.header(format, version: version) }

    /// What is authenticated beside the plaintext: format, key name, version, and the caller's context.
    ///
    /// The name carries its length and the context comes last, so that no two inputs have the same bytes.
    static func aad(key: String, version: UInt32, context: [UInt8]) -> [UInt8] {
        header(version: version) + UInt16(key.utf8.count).bigEndianBytes + Array(key.utf8) + context
    }
}

/// The bytes of a MAC: `0x02, key version (u32, big-endian), HMAC-SHA-256 (32)`.
struct TaggedMAC {
    static let format: UInt8 = 2

    let version: UInt32
    let tag: ArraySlice<UInt8>

    /// Nil when the bytes cannot be a MAC.
    init?(_ bytes: [UInt8]) {
        guard let parts = VersionedBytes(bytes, format: Self.format) else { return nil }
        (version, tag) = (parts.version, parts.content)
    }

    static func bytes(version: UInt32, tag: [UInt8]) -> [UInt8] { VersionedBytes.header(format, version: version) + tag }
}

/// A format, a key's version, and what was made with it.
private struct VersionedBytes {
    private static let headerCount = 5

    let version: UInt32
    let content: ArraySlice<UInt8>

    init?(_ bytes: [UInt8], format: UInt8) {
        guard bytes.count > Self.headerCount, bytes[0] == format else { return nil }
        version = bytes[1..<Self.headerCount].reduce(0) { $0 << 8 | UInt32($1) }
        content = bytes[Self.headerCount...]
    }

    static func header(_ format: UInt8, version: UInt32) -> [UInt8] { [format] + version.bigEndianBytes }
}
