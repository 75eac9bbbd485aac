import COpenSSL
package import FoundationEssentials

/// Ed25519 signatures (RFC 8032, pure).
package enum Ed25519 {
    /// The length of a seed and of a public key, in bytes.
    package static let keyCount = 32
    /// The length of a signature, in bytes.
    package static let signatureCount = 64
}

extension Ed25519 {
    /// A private key. libcrypto wipes its memory when the last reference goes.
    // Safe to share: the EVP_PKEY is never changed after the initializer, and each use has its own context.
    package final class PrivateKey: @unchecked Sendable {
        private let key: OpaquePointer
        /// The public half.
        package let publicKey: PublicKey

        /// A new key from random bytes.
        package convenience init() throws(CryptoError) {
            var seed = try RandomBytes.generate(keyCount)
            defer { seed.withUnsafeMutableBytes { wipe($0) } }
            try self.init(rawRepresentation: seed)
        }

        /// The key of a 32-byte seed (RFC 8032 section 5.1.5).
        package convenience init(rawRepresentation seed: some ContiguousBytes) throws(CryptoError) {
            let key = seed.withUnsafeBytes { seed in
                EVP_PKEY_new_raw_private_key(
                    EVP_PKEY_ED25519, nil, seed.baseAddress?.assumingMemoryBound(to: UInt8.self), seed.count)
            }
            try self.init(adopting: key)
        }

        /// The key in PEM text, PKCS #8 without a pass phrase.
        ///
        /// - Throws: `CryptoError.invalidKey` when the text holds no key, or a key of another algorithm.
        package convenience init(pem: String) throws(CryptoError) {
            let text = Array(pem.utf8)
            guard text.count <= Int(Int32.max) else { throw .invalidKey }
            let key = lockstep_private_key_from_pem(text, Int32(text.count))
            guard let key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 else {
                EVP_PKEY_free(key)
                ERR_clear_error()
                throw .invalidKey
            }
            try self.init(adopting: key)
        }

        /// The key in PKCS #8, DER (RFC 8410).
        ///
        /// - Throws: `CryptoError.invalidKey` when the bytes are no key, or a key of another algorithm.
        package convenience init(pkcs8 bytes: some ContiguousBytes) throws(CryptoError) {
            let key = bytes.withUnsafeBytes(privateKey(pkcs8:))
            guard let key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 else {
                EVP_PKEY_free(key)
                ERR_clear_error()
                throw .invalidKey
            }
            try self.init(adopting: key)
        }

        /// The key in PKCS #8, DER, for sealed storage and export only.
        package func pkcs8Representation() throws(CryptoError) -> [UInt8] { try pkcs8(of: key) }

        private init(adopting key: OpaquePointer?) throws(CryptoError) {
            guard let key else {
                ERR_clear_error()
                throw .invalidKey
            }
            let publicKey: PublicKey
            do {
                publicKey = try PublicKey(rawRepresentation: read(key, EVP_PKEY_get_raw_public_key))
            } catch {
                EVP_PKEY_free(key)
                throw error
            }
            self.key = key
            self.publicKey = publicKey
        }

        deinit { EVP_PKEY_free(key) }

        /// The 32-byte seed, for sealed storage only.
        package func rawRepresentation() throws(CryptoError) -> [UInt8] {
            try read(key, EVP_PKEY_get_raw_private_key)
        }

        /// The 64-byte signature of `data`.
        package func signature(for data: some ContiguousBytes) throws(CryptoError) -> [UInt8] {
            guard let context = EVP_MD_CTX_new() else { throw .failed("EVP_MD_CTX_new") }
            defer { EVP_MD_CTX_free(context) }
            var signature = [UInt8](repeating: 0, count: signatureCount)
            var count = signatureCount
            let ok = data.withUnsafeBytes { data in
                EVP_DigestSignInit(context, nil, nil, nil, key) == 1
                    && EVP_DigestSign(
                        context, &signature, &count, data.baseAddress?.assumingMemoryBound(to: UInt8.self), data.count)
                        == 1
            }
            guard ok, count == signatureCount else { throw .failed("Ed25519 sign") }
            return signature
        }
    }

    /// A public key.
    // Safe to share: the EVP_PKEY is never changed after the initializer, and each use has its own context.
    package final class PublicKey: @unchecked Sendable, Equatable {
        private let key: OpaquePointer
        /// The 32 bytes of the encoded point.
        package let rawRepresentation: [UInt8]

        /// The key of a 32-byte encoded point.
        ///
        /// - Throws: `CryptoError.invalidKey` for another length, and for points of small order, under which one
        ///   signature is valid for many messages.
        package init(rawRepresentation bytes: some ContiguousBytes) throws(CryptoError) {
            let raw = bytes.withUnsafeBytes { Array($0) }
            guard raw.count == keyCount, !SmallOrder.contains(raw),
                let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, raw, raw.count)
            else {
                ERR_clear_error()
                throw .invalidKey
            }
            self.key = key
            self.rawRepresentation = raw
        }

        deinit { EVP_PKEY_free(key) }

        /// Whether the signature is 64 bytes, has S < L (RFC 8032 section 5.1.7) and is `data`'s under this key.
        package func isValidSignature(_ signature: some ContiguousBytes, for data: some ContiguousBytes) -> Bool {
            guard let context = EVP_MD_CTX_new() else { return false }
            defer { EVP_MD_CTX_free(context) }
            let ok = signature.withUnsafeBytes { signature in
                data.withUnsafeBytes { data in
                    signature.count == signatureCount
                        && EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
                        && EVP_DigestVerify(
                            context, signature.baseAddress?.assumingMemoryBound(to: UInt8.self), signature.count,
                            data.baseAddress?.assumingMemoryBound(to: UInt8.self), data.count) == 1
                }
            }
            if !ok { ERR_clear_error() }
            return ok
        }

        package static func == (left: PublicKey, right: PublicKey) -> Bool {
            left.rawRepresentation == right.rawRepresentation
        }
    }
}

extension Ed25519.PrivateKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "Ed25519.PrivateKey" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Reads one raw half of a key.
private func read(
    _ key: OpaquePointer,
    _ half: (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>?) -> Int32
) throws(CryptoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Ed25519.keyCount)
    var count = bytes.count
    guard half(key, &bytes, &count) == 1, count == Ed25519.keyCount else { throw .failed("Ed25519 raw key") }
    return bytes
}

/// The encodings of the points whose order divides 8, canonical or not, without the sign bit.
private enum SmallOrder {
    private static let encodings: Set<[UInt8]> = Set(
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ].compactMap(Hex.decode))

    static func contains(_ raw: [UInt8]) -> Bool {
        var unsigned = raw
        unsigned[31] &= 0x7f
        return encodings.contains(unsigned)
    }
}
