import COpenSSL

/// Algorithms fetched from OpenSSL's providers once: a fetch per call takes a lock and a search.
///
/// The provider is the process's choice (`openssl.cnf`), so the FIPS provider serves here without a change.
enum Algorithms {
    /// An algorithm object of libcrypto.
    ///
    /// Safe to share: fetched algorithm objects are immutable and reference counted with atomics (OpenSSL 3, EVP(7)).
    struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    static let aes256gcm = Handle(pointer: EVP_CIPHER_fetch(nil, "AES-256-GCM", nil))
    static let sha256 = Handle(pointer: EVP_MD_fetch(nil, "SHA256", nil))
    static let hmac = Handle(pointer: EVP_MAC_fetch(nil, "HMAC", nil))
    static let hkdf = Handle(pointer: EVP_KDF_fetch(nil, "HKDF", nil))
}
