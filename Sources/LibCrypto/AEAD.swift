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
        _ plaintext: UnsafeRawBufferPointer, key: SymmetricKey, aad: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        if let failure = encrypt(plaintext, key: key, nonce: nil, aad: aad, into: target) { throw failure }
    }

    /// One key's cipher for many messages, one after the other on one thread: its context is taken once, not for each.
    package final class Session {
        private let pool: CipherContextPool
        private let key: SymmetricKey
        private var context: CipherContextPool.Context?

        /// A session that seals.
        package init(sealing key: SymmetricKey) { (self.key, pool) = (key, key.encryption) }

        /// A session that opens.
        package init(opening key: SymmetricKey) { (self.key, pool) = (key, key.decryption) }

        deinit { if let context { pool.put(context) } }

        /// As `AEAD.seal` into memory of the caller's; of a session that seals.
        package func seal(
            _ plaintext: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) {
            try use { context in encrypt(plaintext, &context, nonce: nil, aad: aad, into: target) }
        }

        /// As `AEAD.open` into memory of the caller's; of a session that opens.
        package func open(
            _ sealed: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
        ) throws(CryptoError) {
            try use { context in decrypt(sealed, &context, aad: aad, into: target) }
        }

        /// A context that failed serves no other message. Key and pool are shared, and counted for the first message only.
        private func use(_ body: (inout CipherContextPool.Context) -> CryptoError?) throws(CryptoError) {
            let kept = context.take()
            var taken = if let kept { kept } else { try pool.take(for: key) }
            if let failure = body(&taken) {
                pool.discard(taken)
                ERR_clear_error()
                throw failure
            }
            context = taken
        }
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
        _ sealed: UnsafeRawBufferPointer, key: SymmetricKey, aad: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        if let failure = decrypt(sealed, key: key, aad: aad, into: target) { throw failure }
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
        guard var context = try? key.encryption.take(for: key) else { return .library("AES-256-GCM") }
        let failure = encrypt(plaintext, &context, nonce: nonce, aad: aad, into: target)
        settle(context, in: key.encryption, ok: failure == nil)
        return failure
    }

    /// The same with a context of the caller's.
    fileprivate static func encrypt(
        _ plaintext: UnsafeRawBufferPointer, _ context: inout CipherContextPool.Context, nonce: [UInt8]?,
        aad: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> CryptoError? {
        guard plaintext.count <= maximumCount, aad.count <= maximumCount, target.count == plaintext.count + overhead
        else { return .limitExceeded }
        guard nonce == nil || nonce?.count == nonceCount else { return .invalidKey }
        if let nonce {
            target.copyBytes(from: nonce)
        } else {
            do throws(CryptoError) {
                try context.nonces.next(into: UnsafeMutableRawBufferPointer(rebasing: target[..<nonceCount]))
            } catch {
                return error
            }
        }
        let body = UnsafeMutableRawBufferPointer(rebasing: target[nonceCount...])
        let ok =
            begin(context, nonce: target.baseAddress, encrypting: true)
            && update(context, from: aad, to: nil, EVP_EncryptUpdate)
            && update(context, from: plaintext, to: body.baseAddress, EVP_EncryptUpdate)
            && finish(context, EVP_EncryptFinal_ex)
            && lockstep_gcm_get_tag(context.pointer, body.baseAddress?.advanced(by: plaintext.count), Int32(tagCount)) == 1
        return ok ? nil : .library("AES-256-GCM")
    }

    /// - Returns: What failed, if anything did.
    private static func decrypt(
        _ sealed: UnsafeRawBufferPointer, key: SymmetricKey, aad: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> CryptoError? {
        guard var context = try? key.decryption.take(for: key) else { return .library("AES-256-GCM") }
        let failure = decrypt(sealed, &context, aad: aad, into: target)
        settle(context, in: key.decryption, ok: failure == nil)
        return failure
    }

    /// The same with a context of the caller's.
    fileprivate static func decrypt(
        _ sealed: UnsafeRawBufferPointer, _ context: inout CipherContextPool.Context, aad: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> CryptoError? {
        guard sealed.count >= overhead, sealed.count <= maximumCount + overhead, aad.count <= maximumCount,
            target.count == sealed.count - overhead
        else { return .authenticationFailed }
        let body = UnsafeRawBufferPointer(rebasing: sealed[nonceCount..<(sealed.count - tagCount)])
        let tag = UnsafeRawBufferPointer(rebasing: sealed[(sealed.count - tagCount)...])
        let ok =
            begin(context, nonce: sealed.baseAddress, encrypting: false)
            && update(context, from: aad, to: nil, EVP_DecryptUpdate)
            && update(context, from: body, to: target.baseAddress, EVP_DecryptUpdate)
            && lockstep_gcm_set_tag(context.pointer, tag.baseAddress, Int32(tagCount)) == 1
            && finish(context, EVP_DecryptFinal_ex)
        if !ok { wipe(target) }
        return ok ? nil : .authenticationFailed
    }

    /// Starts a message of a context that has its key.
    private static func begin(_ context: CipherContextPool.Context, nonce: UnsafeRawPointer?, encrypting: Bool) -> Bool {
        let iv = nonce?.assumingMemoryBound(to: UInt8.self)
        return EVP_CipherInit_ex(context.pointer, nil, nil, nil, iv, encrypting ? 1 : 0) == 1
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
            // What was held back would leave in the target what was there before.
            && written == source.count
    }

    private static func finish(
        _ context: CipherContextPool.Context,
        _ step: (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int32>?) -> Int32
    ) -> Bool {
        // GCM writes nothing here, but the function wants a block's room.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { scratch in
            var written: Int32 = 0
            return step(context.pointer, scratch.baseAddress, &written) == 1 && written == 0
        }
    }

    /// Puts the context back after success, and frees it after a failure.
    private static func settle(_ context: CipherContextPool.Context, in pool: CipherContextPool, ok: Bool) {
        if ok { return pool.put(context) }
        pool.discard(context)
        ERR_clear_error()
    }
}
