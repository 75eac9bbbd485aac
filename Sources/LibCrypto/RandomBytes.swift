import COpenSSL

/// Random bytes for keys, nonces, tokens and ids.
package enum RandomBytes {
    /// The most that one call gives.
    package static let maximumCount = 1 << 20

    /// `count` bytes of OpenSSL's private generator, seeded by the operating system and reseeded after a fork.
    ///
    /// - Throws: `CryptoError.randomUnavailable` when the generator fails; never returns weaker bytes.
    package static func generate(_ count: Int) throws(CryptoError) -> [UInt8] {
        guard (0...maximumCount).contains(count) else { throw .limitExceeded }
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_priv_bytes(&bytes, Int32(count)) == 1 else {
            ERR_clear_error()
            throw .randomUnavailable
        }
        return bytes
    }
}
