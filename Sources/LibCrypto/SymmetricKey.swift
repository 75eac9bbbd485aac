import COpenSSL
package import FoundationEssentials

/// A 256-bit AES key. Its memory is wiped when the last reference goes; it has no description of its bytes.
///
/// Carries the cipher contexts that were made with it, so that its key schedule is computed once and not per message.
// Safe to share: the bytes are written in the initializer only, and the contexts sit behind a lock.
package final class SymmetricKey: @unchecked Sendable {
    /// The length of a key in bytes.
    package static let count = 32

    private let storage: UnsafeMutableRawBufferPointer
    /// Where `storage` is, of a key that has a page of its own.
    private let page: LockedPage?
    let encryption: CipherContextPool
    let decryption: CipherContextPool

    /// A key of random bytes.
    package convenience init() throws(CryptoError) {
        var bytes = try RandomBytes.generate(Self.count)
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        try self.init(bytes: bytes)
    }

    /// A key of these 32 bytes, which are copied.
    ///
    /// - Throws: `CryptoError.invalidKey` when there are more or fewer.
    package init(bytes: some ContiguousBytes) throws(CryptoError) {
        page = nil
        (encryption, decryption) = (CipherContextPool(.encrypting), CipherContextPool(.decrypting))
        storage = .allocate(byteCount: Self.count, alignment: 16)
        let fits = bytes.withUnsafeBytes { source in
            guard source.count == Self.count else { return false }
            storage.copyMemory(from: source)
            return true
        }
        guard fits else { throw .invalidKey }
    }

    /// The same in a `LockedPage`, and without cipher contexts that hold its schedule between messages: for a key that seals
    /// seldom and guards all others.
    ///
    /// - Throws: `CryptoError.invalidKey`, or `library` when there is no memory. A page that may not be locked is no error.
    package init(locked bytes: some ContiguousBytes) throws(CryptoError) {
        let result: Result<LockedPage, CryptoError> = bytes.withUnsafeBytes { source in
            guard source.count == Self.count else { return .failure(.invalidKey) }
            do throws(CryptoError) { return .success(try LockedPage(source)) } catch { return .failure(error) }
        }
        let page = try result.get()
        self.page = page
        storage = page.bytes
        (encryption, decryption) = (CipherContextPool(.encrypting, capacity: 0), CipherContextPool(.decrypting, capacity: 0))
    }

    /// Whether its bytes are where swap never gets them.
    package var isLocked: Bool { page?.isLocked ?? false }

    deinit {
        guard page == nil else { return }
        wipe(storage)
        storage.deallocate()
    }

    /// The key's bytes, for the time of `body` only.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(storage))
    }
}

extension SymmetricKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "SymmetricKey(256 bit)" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Overwrites secret memory in a way that the optimizer may not remove.
package func wipe(_ memory: UnsafeMutableRawBufferPointer) {
    OPENSSL_cleanse(memory.baseAddress, memory.count)
}
