import COpenSSL
package import FoundationEssentials

/// HMAC with SHA-1 (RFC 2104), for one-time codes (RFC 6238), whose apps know nothing newer. Of nothing else here.
package enum HMACSHA1 {
    /// The length of a tag in bytes.
    package static let count = 20

    /// The 20-byte tag of `data` under `key`, a key of at least one byte.
    package static func authenticate(
        _ data: some ContiguousBytes, key: some ContiguousBytes
    ) throws(CryptoError) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: count)
        var written = 0
        let ok = data.withUnsafeBytes { source in
            key.withUnsafeBytes { key in
                key.count > 0 && EVP_Q_mac(
                    nil, "HMAC", nil, "SHA1", nil, key.baseAddress, key.count,
                    source.baseAddress?.assumingMemoryBound(to: UInt8.self), source.count, &tag, count, &written) != nil
            }
        }
        guard ok, written == count else {
            ERR_clear_error()
            throw .failed("HMAC-SHA-1")
        }
        return tag
    }
}
