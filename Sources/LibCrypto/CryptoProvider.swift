import COpenSSL
import Glibc

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
    /// To be called before anything else of this module. Where the provider does not load, nothing has changed; where it lacks
    /// an algorithm, the process is to end.
    ///
    /// - Parameter withEd25519: Whether that must be there too: the module of OpenSSL 3.1 that is validated has it, and not as an
    ///   approved algorithm (fips_module(7)).
    package static func requireFIPS(withEd25519: Bool) throws(Missing) {
        // What others left on this thread is no reason.
        ERR_clear_error()
        // Fallbacks are kept: even an attempt that fails would otherwise leave a process without any provider.
        guard OSSL_PROVIDER_try_load(nil, fips, 1) != nil else {
            throw Missing(description: "OpenSSL's provider `fips` does not load (\(firstError()))")
        }
        // Encoders of keys, which do no cryptography.
        guard OSSL_PROVIDER_try_load(nil, "base", 1) != nil else {
            throw Missing(description: "OpenSSL's provider `base` does not load (\(firstError()))")
        }
        guard EVP_default_properties_enable_fips(nil, 1) == 1 else {
            throw Missing(description: "OpenSSL does not take `fips=yes` (\(firstError()))")
        }
        for (algorithm, provider) in used where provider != fips && (algorithm != ed25519 || withEd25519) {
            let advice = algorithm == ed25519 ? "; keys of `name:SIGN:ES256` need none of it" : ""
            throw Missing(description: "\(algorithm) is not of the provider `fips`\(advice)")
        }
    }

    private static let ed25519 = "Ed25519"

    /// What this module works with, and the name of the provider that each comes from as things are: `none` for nobody.
    static var used: [(algorithm: String, provider: String)] {
        defer { ERR_clear_error() }
        let keyWrap = EVP_CIPHER_fetch(nil, "AES-256-WRAP-PAD", nil)
        let oaep = EVP_ASYM_CIPHER_fetch(nil, "RSA", nil)
        let signatures = [("P-256", "EC", "ECDSA"), (ed25519, "ED25519", "ED25519")].map { title, keys, algorithm in
            let (keys, signature) = (EVP_KEYMGMT_fetch(nil, keys, nil), EVP_SIGNATURE_fetch(nil, algorithm, nil))
            defer {
                EVP_KEYMGMT_free(keys)
                EVP_SIGNATURE_free(signature)
            }
            let ofKeys = name(of: keys.flatMap { EVP_KEYMGMT_get0_provider($0) })
            let ofSignature = name(of: signature.flatMap { EVP_SIGNATURE_get0_provider($0) })
            return (title, ofKeys == ofSignature ? ofKeys : "none")
        }
        defer {
            EVP_CIPHER_free(keyWrap)
            EVP_ASYM_CIPHER_free(oaep)
        }
        return [
            ("AES-256-GCM", name(of: Algorithms.aes256gcm.pointer.flatMap { EVP_CIPHER_get0_provider($0) })),
            ("SHA-256", name(of: Algorithms.sha256.pointer.flatMap { EVP_MD_get0_provider($0) })),
            ("HMAC", name(of: Algorithms.hmac.pointer.flatMap { EVP_MAC_get0_provider($0) })),
            ("HKDF", name(of: Algorithms.hkdf.pointer.flatMap { EVP_KDF_get0_provider($0) })),
            ("AES-256-KWP", name(of: keyWrap.flatMap { EVP_CIPHER_get0_provider($0) })),
            ("RSA-OAEP", name(of: oaep.flatMap { EVP_ASYM_CIPHER_get0_provider($0) })),
            ("the random generator", name(of: lockstep_random_provider())),
        ] + signatures
    }

    private static func name(of provider: OpaquePointer?) -> String {
        provider.flatMap { OSSL_PROVIDER_get0_name($0) }.map { String(cString: $0) } ?? "none"
    }

    private static func version(of provider: OpaquePointer?) -> String {
        guard let provider, let text = lockstep_provider_version(provider) else { return "" }
        return String(cString: text)
    }

    /// What went wrong first, in OpenSSL's words; the thread's queue is empty then. What went wrong last is often only where.
    private static func firstError() -> String {
        defer { ERR_clear_error() }
        var (data, flags): (UnsafePointer<CChar>?, CInt) = (nil, 0)
        let code = ERR_peek_error_all(nil, nil, nil, &data, &flags)
        guard code != 0 else { return "it does not say why" }
        let reason = lockstep_error_is_of_system(code) != 0 ? strerror(CInt(truncatingIfNeeded: code)).map { UnsafePointer($0) } : nil
        let detail = flags & ERR_TXT_STRING != 0 ? data : nil
        let parts = [ERR_lib_error_string(code), reason ?? ERR_reason_error_string(code), detail].compactMap { text in
            text.map { String(cString: $0) }
        }
        return parts.filter { !$0.isEmpty }.joined(separator: ": ")
    }
}
