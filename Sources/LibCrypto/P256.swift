import COpenSSL
package import FoundationEssentials

/// ECDSA with P-256 and SHA-256 (FIPS 186-5), signatures as `r` and `s` of 32 bytes each (RFC 7518 section 3.4).
package enum P256 {
    /// The length of a coordinate, in bytes.
    package static let coordinateCount = 32
    /// The length of a signature, in bytes.
    package static let signatureCount = 64
}

extension P256 {
    /// A private key. libcrypto wipes its memory when the last reference goes.
    // Safe to share: the EVP_PKEY is never changed after the initializer, and each use has its own context.
    package final class PrivateKey: @unchecked Sendable {
        private let key: OpaquePointer
        /// The public half.
        package let publicKey: PublicKey

        /// A new key.
        package convenience init() throws(CryptoError) {
            try self.init(adopting: lockstep_p256_generate())
        }

        /// The key in PKCS #8, DER (RFC 5208, RFC 5915).
        ///
        /// - Throws: `CryptoError.invalidKey` when the bytes are no key, or a key of another algorithm or curve.
        package convenience init(pkcs8 bytes: some ContiguousBytes) throws(CryptoError) {
            try self.init(adopting: bytes.withUnsafeBytes(privateKey(pkcs8:)))
        }

        private init(adopting key: OpaquePointer?) throws(CryptoError) {
            guard let key, lockstep_is_p256(key) == 1 else {
                EVP_PKEY_free(key)
                ERR_clear_error()
                throw .invalidKey
            }
            var point = [UInt8](repeating: 0, count: 1 + 2 * coordinateCount)
            let publicKey = lockstep_p256_point(key, &point) == 1 ? try? PublicKey(point: point) : nil
            guard let publicKey else {
                EVP_PKEY_free(key)
                ERR_clear_error()
                throw .invalidKey
            }
            self.key = key
            self.publicKey = publicKey
        }

        deinit { EVP_PKEY_free(key) }

        /// The key in PKCS #8, DER, for sealed storage and export only.
        package func pkcs8Representation() throws(CryptoError) -> [UInt8] { try pkcs8(of: key) }

        /// The 64-byte signature of `data`.
        package func signature(for data: some ContiguousBytes) throws(CryptoError) -> [UInt8] {
            var signature = [UInt8](repeating: 0, count: signatureCount)
            let ok = data.withUnsafeBytes { lockstep_es256_sign(key, $0.baseAddress, $0.count, &signature) }
            guard ok == 1 else { throw .failed("ECDSA sign") }
            return signature
        }
    }

    /// A public key.
    // Safe to share: the EVP_PKEY is never changed after the initializer, and each use has its own context.
    package final class PublicKey: @unchecked Sendable, Equatable {
        private let key: OpaquePointer
        /// The affine coordinates, 32 bytes each.
        package let x: [UInt8]
        package let y: [UInt8]

        /// The key of a point's coordinates.
        ///
        /// - Throws: `CryptoError.invalidKey` for other lengths, and for a point that is not on the curve.
        package convenience init(
            x: some Collection<UInt8>, y: some Collection<UInt8>
        ) throws(CryptoError) {
            guard x.count == coordinateCount, y.count == coordinateCount else { throw .invalidKey }
            try self.init(point: [4] + x + y)
        }

        fileprivate init(point: [UInt8]) throws(CryptoError) {
            guard let key = lockstep_p256_public(point) else {
                ERR_clear_error()
                throw .invalidKey
            }
            self.key = key
            x = Array(point[1..<(1 + coordinateCount)])
            y = Array(point[(1 + coordinateCount)...])
        }

        deinit { EVP_PKEY_free(key) }

        /// Whether the signature is 64 bytes, has `r` and `s` from 1 to the group's order less 1, and is `data`'s under
        /// this key.
        package func isValidSignature(_ signature: some ContiguousBytes, for data: some ContiguousBytes) -> Bool {
            let ok = signature.withUnsafeBytes { signature in
                data.withUnsafeBytes { data in
                    signature.count == signatureCount
                        && lockstep_es256_verify(
                            key, signature.baseAddress?.assumingMemoryBound(to: UInt8.self), data.baseAddress, data.count)
                            == 1
                }
            }
            if !ok { ERR_clear_error() }
            return ok
        }

        package static func == (left: PublicKey, right: PublicKey) -> Bool { left.x == right.x && left.y == right.y }
    }
}

extension P256.PrivateKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "P256.PrivateKey" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
