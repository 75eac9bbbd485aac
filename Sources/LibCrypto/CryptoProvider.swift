import COpenSSL

/// Which of OpenSSL's providers does this module's work.
package enum CryptoProvider {
    /// A provider's own name and version: `default` or `fips`, `3.0.19`.
    package struct Description: Sendable, Hashable {
        package let name: String
        package let version: String
    }

    /// Why the FIPS provider does not do the work; follows "but ".
    package struct Missing: Error, Sendable, Hashable, CustomStringConvertible {
        package let description: String
    }

    private static let fips = "fips"

    /// `OpenSSL 3.0.19 27 Jan 2026`
    package static var library: String { String(cString: OpenSSL_version(OPENSSL_VERSION)) }

    /// The provider of AES-256-GCM; with `requireFIPS` that of everything else too.
    package static var current: Description {
        let provider = EVP_CIPHER_get0_provider(Algorithms.aes256gcm.pointer)
        return Description(name: name(of: provider), version: version(of: provider))
    }

    /// Loads the FIPS provider and lets this process use no other's algorithms.
    ///
    /// To be called before anything else of this module. Where it throws, nothing has changed.
    package static func requireFIPS() throws(Missing) {
        // Fallbacks are kept: even an attempt that fails would otherwise leave a process without any provider.
        guard OSSL_PROVIDER_try_load(nil, fips, 1) != nil else {
            throw Missing(description: "OpenSSL's provider `fips` does not load (\(lastError()))")
        }
        // Encoders of keys, which do no cryptography.
        guard OSSL_PROVIDER_try_load(nil, "base", 1) != nil else {
            throw Missing(description: "OpenSSL's provider `base` does not load (\(lastError()))")
        }
        guard EVP_default_properties_enable_fips(nil, 1) == 1 else {
            throw Missing(description: "OpenSSL does not take `fips=yes` (\(lastError()))")
        }
        for (algorithm, provider) in used where name(of: provider) != fips {
            throw Missing(description: "\(algorithm) is not of the provider `fips`")
        }
    }

    private static var used: [(String, OpaquePointer?)] {
        [
            ("AES-256-GCM", EVP_CIPHER_get0_provider(Algorithms.aes256gcm.pointer)),
            ("SHA-256", EVP_MD_get0_provider(Algorithms.sha256.pointer)),
            ("HMAC", EVP_MAC_get0_provider(Algorithms.hmac.pointer)),
            ("HKDF", EVP_KDF_get0_provider(Algorithms.hkdf.pointer)),
        ]
    }

    private static func name(of provider: OpaquePointer?) -> String {
        provider.flatMap { OSSL_PROVIDER_get0_name($0) }.map { String(cString: $0) } ?? "none"
    }

    private static func version(of provider: OpaquePointer?) -> String {
        guard let provider, let text = lockstep_provider_version(provider) else { return "" }
        return String(cString: text)
    }

    /// In OpenSSL's words, and taken off the thread's queue.
    private static func lastError() -> String {
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_peek_last_error(), &text, text.count)
        ERR_clear_error()
        return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }
}
