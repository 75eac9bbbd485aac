import NIOCore
import Testing

@testable import WireCore

/// What holds of a message holds however it is held.
@Suite struct MessageBodyTests {
    /// The same message in an array, in a buffer of its own, and in the middle of a larger one.
    private func forms(_ bytes: [UInt8]) -> [MessageBody] {
        var larger = ByteBuffer(bytes: [7] + bytes + [UInt8](repeating: 7, count: 4096))
        larger.moveReaderIndex(forwardBy: 1)
        let middle = larger.readSlice(length: bytes.count) ?? ByteBuffer()
        return [.bytes(bytes), .buffer(ByteBuffer(bytes: bytes)), .buffer(middle)]
    }

    @Test(arguments: [[], [1], [1, 2, 3], [UInt8](repeating: 9, count: 1000)])
    func itsBytes(_ bytes: [UInt8]) {
        for form in forms(bytes) {
            #expect(form.count == bytes.count && form.array == bytes && form.compacted == form)
            #expect(form.withSpan { span in span.withUnsafeBytes { [UInt8]($0) } } == bytes)
            #expect(form.prefix(2) == ByteBuffer(bytes: bytes.prefix(2)))
            var written = ByteBuffer()
            form.write(to: &written)
            #expect(written == ByteBuffer(bytes: bytes))
            #expect(form.compacted.storageCapacity <= 2 * bytes.count + 512, "nothing of what was read with it")
            for other in forms(bytes) { #expect(form == other) }
            for other in forms(bytes + [0]) { #expect(form != other) }
        }
        #expect(MessageBody().count == 0)
    }

    @Test("A message in one piece stays where it was read; one of many pieces is one array", arguments: [1, 2, 7, 100])
    func assembled(_ pieces: Int) throws {
        let piece = (0..<500).map { UInt8(truncatingIfNeeded: $0) }
        let whole = [[UInt8]](repeating: piece, count: pieces).flatMap { $0 }
        var assembly = Assembly(MessageStart(length: UInt32(whole.count), fragment: ByteBuffer(bytes: piece)))
        for count in 1..<pieces {
            #expect(!assembly.isWhole && assembly.missing == UInt32((pieces - count) * piece.count))
            try assembly.append(ByteBuffer(bytes: piece))
        }
        #expect(assembly.isWhole && assembly.body == .bytes(whole))
        if case .bytes = assembly.body { #expect(pieces > 1) } else { #expect(pieces == 1) }
        #expect(throws: WireViolation.self) { try assembly.append(ByteBuffer(bytes: [0])) }
    }
}
