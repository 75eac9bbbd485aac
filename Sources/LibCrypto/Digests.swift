import COpenSSL
package import FoundationEssentials

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    /// The length of a digest in bytes.
    package static let count = 32

    /// The 32-byte digest.
    package static func hash(_ data: some ContiguousBytes) throws(CryptoError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: count)
        let ok = data.withUnsafeBytes { source in
            EVP_Digest(source.baseAddress, source.count, &digest, nil, Algorithms.sha256.pointer, nil)
        }
        guard ok == 1 else { throw .failed("SHA-256") }
        return digest
    }

    /// The digest as 64 lower-case hexadecimal digits.
    package static func hexHash(_ data: some ContiguousBytes) throws(CryptoError) -> String {
        Hex.encode(try hash(data))
    }
}

/// HMAC with SHA-256 (RFC 2104).
package enum HMACSHA256 {
    /// The length of a tag in bytes.
    package static let count = 32

    /// The 32-byte tag of `data` under `key`, a key of any length.
    package static func authenticate(
        _ data: some ContiguousBytes, key: some ContiguousBytes
    ) throws(CryptoError) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: count)
        let ok = data.withUnsafeBytes { source in
            key.withUnsafeBytes { key in
                lockstep_hmac_sha256(
                    Algorithms.hmac.pointer, key.baseAddress, key.count, source.baseAddress, source.count, &tag)
            }
        }
        guard ok == 1 else { throw .failed("HMAC-SHA-256") }
        return tag
    }

    /// Whether `tag` is the whole tag of `data`; compared in constant time, a shortened tag is not valid.
    package static func isValid(
        _ tag: some ContiguousBytes, for data: some ContiguousBytes, key: some ContiguousBytes
    ) throws(CryptoError) -> Bool {
        constantTimeEqual(tag, try authenticate(data, key: key))
    }
}

/// HKDF (RFC 5869), extract and expand.
package enum HKDF {
    /// The most that HKDF-SHA-256 can give: 255 blocks.
    package static let maximumCount = 255 * SHA256.count

    /// `count` bytes derived from `secret`; an empty salt means a block of zeros, as the RFC says.
    package static func sha256(
        _ secret: some ContiguousBytes, salt: some ContiguousBytes, info: some ContiguousBytes, count: Int
    ) throws(CryptoError) -> [UInt8] {
        guard (1...maximumCount).contains(count) else { throw .limitExceeded }
        var output = [UInt8](repeating: 0, count: count)
        let ok = secret.withUnsafeBytes { secret in
            salt.withUnsafeBytes { salt in
                info.withUnsafeBytes { info in
                    lockstep_hkdf_sha256(
                        Algorithms.hkdf.pointer, secret.baseAddress, secret.count, salt.baseAddress, salt.count,
                        info.baseAddress, info.count, &output, count)
                }
            }
        }
        guard ok == 1 else { throw .failed("HKDF-SHA-256") }
        return output
    }
}
