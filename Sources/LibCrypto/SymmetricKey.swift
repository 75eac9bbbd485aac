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
    let encryption = CipherContextPool()
    let decryption = CipherContextPool()

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
        storage = .allocate(byteCount: Self.count, alignment: 16)
        let fits = bytes.withUnsafeBytes { source in
            guard source.count == Self.count else { return false }
            storage.copyMemory(from: source)
            return true
        }
        guard fits else { throw .invalidKey }
    }

    deinit {
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
