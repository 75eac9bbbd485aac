import COpenSSL
package import FoundationEssentials

/// AES-256-GCM with a 96-bit random nonce and a 128-bit tag (NIST SP 800-38D); no other sizes exist here.
package enum AEAD {
    /// The nonce's length in bytes.
    package static let nonceCount = 12
    /// The tag's length in bytes.
    package static let tagCount = 16
    /// What sealing adds to a plaintext, in bytes.
    package static let overhead = nonceCount + tagCount
    /// The longest plaintext or AAD, in bytes; far under GCM's own bound of 2^36 - 32.
    package static let maximumCount = 1 << 30

    /// `nonce + ciphertext + tag`, with a fresh random nonce. `aad` is authenticated and not stored.
    package static func seal(
        _ plaintext: some ContiguousBytes, key: SymmetricKey, aad: some ContiguousBytes
    ) throws(CryptoError) -> [UInt8] {
        try seal(plaintext, key: key, nonce: nil, aad: aad)
    }

    /// The same into memory of the caller's, which has `overhead` bytes more than the plaintext.
    package static func seal(
        _ plaintext: UnsafeRawBufferPointer, key: SymmetricKey, aad: some ContiguousBytes, into target: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        let failure = aad.withUnsafeBytes { aad in encrypt(plaintext, key: key, nonce: nil, aad: aad, into: target) }
        if let failure { throw failure }
    }

    /// The plaintext of what `seal` gave.
    ///
    /// - Throws: `CryptoError.authenticationFailed`, the same for every cause, and never a part of the plaintext.
    package static func open(
        _ sealed: some ContiguousBytes, key: SymmetricKey, aad: some ContiguousBytes
    ) throws(CryptoError) -> [UInt8] {
        let opened: Result<[UInt8], CryptoError> = sealed.withUnsafeBytes { sealed in
            guard sealed.count >= overhead else { return .failure(.authenticationFailed) }
            var plaintext = [UInt8](repeating: 0, count: sealed.count - overhead)
            let failure = aad.withUnsafeBytes { aad in
                plaintext.withUnsafeMutableBytes { decrypt(sealed, key: key, aad: aad, into: $0) }
            }
            return failure.map { .failure($0) } ?? .success(plaintext)
        }
        return try opened.get()
    }

    /// The same into memory of the caller's, which has `overhead` bytes less than `sealed`. What did not open is wiped from it.
    package static func open(
        _ sealed: UnsafeRawBufferPointer, key: SymmetricKey, aad: some ContiguousBytes, into target: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        let failure = aad.withUnsafeBytes { aad in decrypt(sealed, key: key, aad: aad, into: target) }
        if let failure { throw failure }
    }

    /// Sealing with a given nonce: for published vectors. A nonce must never serve one key twice.
    static func seal(
        _ plaintext: some ContiguousBytes, key: SymmetricKey, nonce: [UInt8]?, aad: some ContiguousBytes
    ) throws(CryptoError) -> [UInt8] {
        let sealed: Result<[UInt8], CryptoError> = plaintext.withUnsafeBytes { plaintext in
            var sealed = [UInt8](repeating: 0, count: plaintext.count + overhead)
            let failure = aad.withUnsafeBytes { aad in
                sealed.withUnsafeMutableBytes { encrypt(plaintext, key: key, nonce: nonce, aad: aad, into: $0) }
            }
            return failure.map { .failure($0) } ?? .success(sealed)
        }
        return try sealed.get()
    }
}

extension AEAD {
    /// - Parameter nonce: Nil for a fresh random one.
    /// - Returns: What failed, if anything did.
    private static func encrypt(
        _ plaintext: UnsafeRawBufferPointer, key: SymmetricKey, nonce: [UInt8]?, aad: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> CryptoError? {
        guard plaintext.count <= maximumCount, aad.count <= maximumCount, target.count == plaintext.count + overhead
        else { return .limitExceeded }
        guard nonce == nil || nonce?.count == nonceCount else { return .invalidKey }
        guard var context = try? key.encryption.take() else { return .library("AES-256-GCM") }
        if let nonce {
            target.copyBytes(from: nonce)
        } else {
            do throws(CryptoError) {
                try context.nonces.next(into: UnsafeMutableRawBufferPointer(rebasing: target[..<nonceCount]))
            } catch {
                key.encryption.put(context)
                return error
            }
        }
        let body = UnsafeMutableRawBufferPointer(rebasing: target[nonceCount...])
        let ok =
            begin(&context, key: key, nonce: target.baseAddress, encrypting: true)
            && update(context, from: aad, to: nil, EVP_EncryptUpdate)
            && update(context, from: plaintext, to: body.baseAddress, EVP_EncryptUpdate)
            && finish(context, EVP_EncryptFinal_ex)
            && lockstep_gcm_get_tag(context.pointer, body.baseAddress?.advanced(by: plaintext.count), Int32(tagCount)) == 1
        return settle(context, in: key.encryption, ok: ok) ? nil : .library("AES-256-GCM")
    }

    /// - Returns: What failed, if anything did.
    private static func decrypt(
        _ sealed: UnsafeRawBufferPointer, key: SymmetricKey, aad: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> CryptoError? {
        guard sealed.count >= overhead, sealed.count <= maximumCount + overhead, aad.count <= maximumCount,
            target.count == sealed.count - overhead
        else { return .authenticationFailed }
        guard var context = try? key.decryption.take() else { return .library("AES-256-GCM") }
        let body = UnsafeRawBufferPointer(rebasing: sealed[nonceCount..<(sealed.count - tagCount)])
        let tag = UnsafeRawBufferPointer(rebasing: sealed[(sealed.count - tagCount)...])
        let ok =
            begin(&context, key: key, nonce: sealed.baseAddress, encrypting: false)
            && update(context, from: aad, to: nil, EVP_DecryptUpdate)
            && update(context, from: body, to: target.baseAddress, EVP_DecryptUpdate)
            && lockstep_gcm_set_tag(context.pointer, tag.baseAddress, Int32(tagCount)) == 1
            && finish(context, EVP_DecryptFinal_ex)
        if !ok { wipe(target) }
        return settle(context, in: key.decryption, ok: ok) ? nil : .authenticationFailed
    }

    /// Starts a message: the key schedule once per context, the nonce for each message.
    private static func begin(
        _ context: inout CipherContextPool.Context, key: SymmetricKey, nonce: UnsafeRawPointer?, encrypting: Bool
    ) -> Bool {
        let direction: Int32 = encrypting ? 1 : 0
        let iv = nonce?.assumingMemoryBound(to: UInt8.self)
        if context.isKeyed { return EVP_CipherInit_ex(context.pointer, nil, nil, nil, iv, direction) == 1 }
        let ok = key.withUnsafeBytes { bytes in
            EVP_CipherInit_ex(
                context.pointer, Algorithms.aes256gcm.pointer, nil,
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), iv, direction)
        }
        context.isKeyed = ok == 1
        return ok == 1
    }

    private typealias Update = (
        OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int32>?, UnsafePointer<UInt8>?, Int32
    ) -> Int32

    private static func update(
        _ context: CipherContextPool.Context, from source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer?,
        _ step: Update
    ) -> Bool {
        guard source.count > 0 else { return true }
        var written: Int32 = 0
        return step(
            context.pointer, target?.assumingMemoryBound(to: UInt8.self), &written,
            source.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(source.count)) == 1
    }

    private static func finish(
        _ context: CipherContextPool.Context,
        _ step: (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int32>?) -> Int32
    ) -> Bool {
        // GCM writes nothing here, but the function wants a block's room.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { scratch in
            var written: Int32 = 0
            return step(context.pointer, scratch.baseAddress, &written) == 1
        }
    }

    /// Puts the context back after success, frees it after a failure, and says which it was.
    private static func settle(_ context: CipherContextPool.Context, in pool: CipherContextPool, ok: Bool) -> Bool {
        guard ok else {
            pool.discard(context)
            ERR_clear_error()
            return false
        }
        pool.put(context)
        return true
    }
}
