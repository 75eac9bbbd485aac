import Glibc
import ServiceKit
import Testing

@Suite struct HeapTests {
    /// Bit 1 of what glibc notes before each block: the block is a mapping of its own, which ends when it is freed.
    private func isMapped(_ block: UnsafeMutableRawPointer) -> Bool {
        (block - MemoryLayout<UInt>.size).load(as: UInt.self) & 0b10 != 0
    }

    /// Larger ones say nothing here: what other tests have left free may hold one.
    @Test("A block as long as a message may be comes from the heap")
    func keepsLargeBlocks() throws {
        #expect(Heap.keepLargeBlocks())

        for size in [1 << 20, 4 << 20] {
            let block = try #require(malloc(size))
            defer { free(block) }
            #expect(!isMapped(block), "\(size) bytes")
        }
    }
}
