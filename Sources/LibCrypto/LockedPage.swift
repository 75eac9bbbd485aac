import Glibc
import Synchronization

/// A page of memory for one secret: locked, so that it never gets into swap; left out of core dumps; empty in a forked child;
/// zeroed before it is given back.
// Safe to share: the bytes are written by `init` and `deinit` only.
package final class LockedPage: @unchecked Sendable {
    /// What tests stand in for.
    struct System {
        var lock: (UnsafeMutableRawPointer, Int) -> Int32 = { mlock($0, $1) }
        var unmap: (UnsafeMutableRawPointer, Int) -> Void = { munmap($0, $1) }
    }

    private static let unlocked = Atomic(0)

    /// Whether each page of the process that is in use is locked.
    package static var areAllLocked: Bool { unlocked.load(ordering: .relaxed) == 0 }

    /// False where the system does not allow it (RLIMIT_MEMLOCK): then all but that holds.
    package let isLocked: Bool
    /// As many bytes as the secret has.
    let bytes: UnsafeMutableRawBufferPointer
    private let system: System

    /// Copies a secret of at most a page into a page of its own.
    ///
    /// - Throws: `CryptoError.limitExceeded`, or `library` when there is no memory.
    package convenience init(_ secret: UnsafeRawBufferPointer) throws(CryptoError) { try self.init(secret, System()) }

    init(_ secret: UnsafeRawBufferPointer, _ system: System) throws(CryptoError) {
        guard secret.count <= Self.size else { throw .limitExceeded }
        let mapped = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let page = mapped, page != UnsafeMutableRawPointer(bitPattern: -1) else { throw .library("mmap") }
        // Before the secret is there.
        isLocked = system.lock(page, Self.size) == 0
        madvise(page, Self.size, MADV_DONTDUMP)
        madvise(page, Self.size, MADV_WIPEONFORK)
        bytes = UnsafeMutableRawBufferPointer(start: page, count: secret.count)
        bytes.copyMemory(from: secret)
        self.system = system
        if !isLocked { Self.unlocked.add(1, ordering: .relaxed) }
    }

    deinit {
        wipe(bytes)
        // Unmapping unlocks.
        if let page = bytes.baseAddress { system.unmap(page, Self.size) }
        if !isLocked { Self.unlocked.subtract(1, ordering: .relaxed) }
    }

    private static let size = Int(getpagesize())
}
