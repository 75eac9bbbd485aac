import COpenSSL

/// What can go wrong in this module. No case carries key, plaintext or tag bytes.
package enum CryptoError: Error, Equatable, Sendable {
    /// The operating system's random source did not deliver; nothing may be generated.
    case randomUnavailable
    /// The bytes are not a key of the wanted kind (length, encoding, or a point of small order).
    case invalidKey
    /// The one answer to every failed opening: wrong key, AAD, tag, length.
    case authenticationFailed
    /// The input or the wanted output is longer than the algorithm allows.
    case limitExceeded
    /// libcrypto refused an operation that cannot fail with valid arguments; names the operation.
    case library(String)
}

extension CryptoError {
    /// An error of libcrypto, after clearing the thread's error queue so that no other user of it (TLS) trips over it.
    static func failed(_ operation: String) -> CryptoError {
        ERR_clear_error()
        return .library(operation)
    }
}
