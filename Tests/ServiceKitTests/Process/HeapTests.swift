import Glibc
import ServiceKit
import Testing

@Suite struct HeapTests {
    /// Bit 1 of what glibc notes before each block: the block is a mapping of its own, which ends when it is freed.
    private func isMapped(_ block: UnsafeMutableRawPointer) -> Bool {
        (block - MemoryLayout<UInt>.size).load(as: UInt.self) & 0b10 != 0
    }

    @Test("A block as long as a message may be comes from the heap, and one beyond that is mapped by itself")
    func keepsLargeBlocks() throws {
        // Where glibc adapts its bound, it is this block's size from here on.
        free(malloc(30 << 20))

        Heap.keepLargeBlocks()

        for (size, mapped) in [(1 << 20, false), (4 << 20, false), (16 << 20, true)] {
            let block = try #require(malloc(size))
            defer { free(block) }
            #expect(isMapped(block) == mapped, "\(size) bytes")
        }
    }
}
