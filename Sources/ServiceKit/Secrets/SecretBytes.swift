import Glibc

/// Bytes in memory of their own that is zeroed when the last reference goes.
///
/// Copies made on the way in and out are the caller's: `String` and `Array` offer no way to erase theirs.
package final class SecretBytes: Sendable {
    /// Written in `init` and `deinit` only.
    private nonisolated(unsafe) let storage: UnsafeMutableRawBufferPointer

    package init(_ bytes: some Collection<UInt8>) {
        storage = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        storage.copyBytes(from: bytes)
    }

    package convenience init(utf8 text: String) { self.init(text.utf8) }

    deinit {
        if let base = storage.baseAddress { explicit_bzero(base, storage.count) }
        storage.deallocate()
    }

    package var count: Int { storage.count }

    /// A copy, which nobody will zero.
    package var exposed: [UInt8] { Array(storage) }

    /// The bytes, for as long as `body` runs.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(storage))
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { SecretPlaceholder.text }
    package var debugDescription: String { SecretPlaceholder.text }
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>(), displayStyle: .class) }
}
