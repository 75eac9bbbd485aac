import CLinux

/// How the C library's heap keeps the memory that large messages pass through.
package enum Heap {
    /// As much as a message of 4 MiB and the buffer that grew around it need.
    private static let largestKept: Int32 = 8 << 20
    /// What stays with each of the heap's arenas once it is free.
    private static let slack: Int32 = 16 << 20

    /// Keeps freed memory of large messages for the next one: 16 MiB at the end of each of the heap's arenas. Left to itself glibc
    /// gives blocks of a few hundred KiB back when they are freed, by unmapping them or by cutting the heap short: then every page of
    /// every message is a fault, and of a megabyte that is most of what a call costs (mallopt(3)).
    ///
    /// Both are set, as either alone switches off that glibc adapts the other. Where they cannot be set, calls are slower and
    /// nothing else.
    ///
    /// - Returns: Whether both are set.
    @discardableResult
    package static func keepLargeBlocks() -> Bool { lockstep_keep_heap(largestKept, slack) == 0 }
}
