import COpenSSL
package import FoundationEssentials

/// An RSA key under which others wrap what they send here, as PKCS #11 CKM_RSA_AES_KEY_WRAP does it: RSA-OAEP with SHA-256
/// (RFC 8017) of an AES-256 key, then the content under that key with AES-KWP (RFC 5649).
// Safe to share: the EVP_PKEY is never changed after the initializer, and each use has its own context.
package final class WrappingKey: @unchecked Sendable {
    /// The modulus' length: 128 bits of strength (SP 800-57 part 1, table 2).
    package static let bits = 3072
    private static let blockCount = bits / 8
    /// The longest content that is unwrapped, in bytes.
    private static let maximumCount = 4096

    private let key: OpaquePointer
    /// SubjectPublicKeyInfo in PEM.
    package let publicKey: String

    /// A new key; takes some tenths of a second.
    package init() throws(CryptoError) {
        guard let key = lockstep_rsa_generate(Self.bits) else { throw .failed("RSA key") }
        var room = [CChar](repeating: 0, count: 2048)
        let count = lockstep_public_key_to_pem(key, &room, room.count)
        guard count > 0 else {
            EVP_PKEY_free(key)
            throw .failed("RSA public key")
        }
        self.key = key
        self.publicKey = String(decoding: room[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { EVP_PKEY_free(key) }

    /// What was wrapped.
    ///
    /// - Throws: `CryptoError.authenticationFailed`, the same for every cause.
    package func unwrap(_ wrapped: some ContiguousBytes) throws(CryptoError) -> [UInt8] {
        let plain = wrapped.withUnsafeBytes { wrapped -> [UInt8]? in
            // AES-KWP gives at least two blocks of 8 bytes.
            guard wrapped.count >= Self.blockCount + 16, wrapped.count <= Self.blockCount + Self.maximumCount,
                let start = wrapped.baseAddress?.assumingMemoryBound(to: UInt8.self)
            else { return nil }
            var transport = [UInt8](repeating: 0, count: Self.blockCount)
            defer { transport.withUnsafeMutableBytes { wipe($0) } }
            var count = transport.count
            guard lockstep_rsa_oaep_decrypt(key, start, Self.blockCount, &transport, &count) == 1,
                count == SymmetricKey.count
            else { return nil }
            var content = [UInt8](repeating: 0, count: wrapped.count - Self.blockCount)
            defer { content.withUnsafeMutableBytes { wipe($0) } }
            let length = lockstep_aes256_kwp_unwrap(
                transport, start.advanced(by: Self.blockCount), content.count, &content)
            return length > 0 ? Array(content[..<length]) : nil
        }
        guard let plain else {
            ERR_clear_error()
            throw .authenticationFailed
        }
        return plain
    }
}
