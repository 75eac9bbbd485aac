/// The bytes that callers store: `0x01, key version (u32, big-endian), nonce (12), ciphertext, tag (16)`.
struct Ciphertext {
    static let format: UInt8 = 1
    private static let headerCount = 5

    let version: UInt32
    /// Nonce, ciphertext and tag.
    let sealed: ArraySlice<UInt8>

    /// Nil when the bytes cannot be a ciphertext.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > Self.headerCount, bytes[0] == Self.format else { return nil }
        version = bytes[1..<Self.headerCount].reduce(0) { $0 << 8 | UInt32($1) }
        sealed = bytes[Self.headerCount...]
    }

    static func header(version: UInt32) -> [UInt8] { [format] + version.bigEndianBytes }

    /// What is authenticated beside the plaintext: format, key name, version, and the caller's context.
    ///
    /// The name carries its length and the context comes last, so that no two inputs have the same bytes.
    static func aad(key: String, version: UInt32, context: [UInt8]) -> [UInt8] {
        header(version: version) + UInt16(key.utf8.count).bigEndianBytes + Array(key.utf8) + context
    }
}
