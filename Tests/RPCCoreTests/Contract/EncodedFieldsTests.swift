import RPCCore
import SwiftProtobuf
import TestSupport
import Testing

/// The judge is SwiftProtobuf: a message without fields takes whatever is well-formed, all of it unknown.
@Suite struct EncodedFieldsTests {
    /// Number and content of each field; nil for bytes that are no message.
    private func read(_ bytes: [UInt8]) -> [(Int, [UInt8]?)]? {
        bytes.withUnsafeBytes { bytes in
            var (fields, found) = (EncodedFields(bytes), [(Int, [UInt8]?)]())
            do {
                while let field = try fields.next() { found.append((field.number, field.bytes.map { [UInt8]($0) })) }
                return found
            } catch {
                return nil
            }
        }
    }

    private func isMessage(_ bytes: [UInt8]) -> Bool { (try? Google_Protobuf_Empty(serializedBytes: bytes)) != nil }

    /// One of each wire type, a group within a group, and numbers of one byte and of five.
    private let sample: [UInt8] = [
        0x08, 0x96, 0x01, 0x12, 0x03, 0x61, 0x62, 0x63, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x23, 0x2B, 0x08, 0x01, 0x2C, 0x12, 0x01, 0x00, 0x24,
        0x35, 1, 2, 3, 4, 0xFA, 0xFF, 0xFF, 0xFF, 0x0F, 0x01, 0x7A, 0x12, 0x00,
    ]

    @Test func everyWireType() throws {
        let fields = try #require(read(sample))
        #expect(fields.map(\.0) == [1, 2, 3, 4, 6, (1 << 29) - 1, 2])
        #expect(fields.map(\.1) == [nil, Array("abc".utf8), nil, nil, nil, Array("z".utf8), []])
    }

    @Test("What is put together of fields is what was taken apart") func encodedIsWhole() throws {
        let joined = sample.withUnsafeBytes { bytes in
            var (fields, joined) = (EncodedFields(bytes), [UInt8]())
            while let field = try? fields.next() { joined += field.encoded }
            return joined
        }
        #expect(joined == sample)
    }

    @Test func endedAtEveryByte() {
        for count in 0...sample.count {
            let part = Array(sample.prefix(count))
            #expect((read(part) != nil) == isMessage(part), "\(count) bytes")
        }
    }

    @Test(
        arguments: [
            ([0x00, 0x00], "field 0"), ([0x0C], "the end of a group that has not begun"), ([0x0B, 0x14], "the end of another group"),
            ([0x0E, 0x00], "wire type 6"), ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "2^64 - 1 bytes"),
            ([0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "a number of eleven bytes"),
            ([0x80, 0x80, 0x80, 0x80, 0x80, 0x01], "a tag beyond 32 bits"), ([0x0A, 0x05, 0x00], "more bytes than are there"),
        ] as [([UInt8], String)])
    func malformed(bytes: [UInt8], what: String) {
        #expect(read(bytes) == nil && !isMessage(bytes), "\(what)")
    }

    @Test func deepGroups() {
        for depth in [1, 50, 99, 100, 101, 102, 100_000] {
            let bytes = [UInt8](repeating: 0x0B, count: depth) + [UInt8](repeating: 0x0C, count: depth)
            #expect((read(bytes) != nil) == isMessage(bytes), "\(depth) groups")
        }
    }

    @Test func mutated() {
        var random = SeededRandom("EncodedFieldsTests.mutated")
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0 ... .max, using: &random)
            }
            let fields = read(bytes)
            #expect((fields != nil) == isMessage(bytes), "seed \(random.seed): \(bytes)")
            if fields == nil { refused += 1 }
        }
        #expect(refused > 2000 && refused < 18_000, "seed \(random.seed): both were seen")
    }

    // MARK: Writing

    @Test("What is written field by field is what SwiftProtobuf writes")
    func written() throws {
        let long = [127, 128].map { String(repeating: "b", count: $0) }
        for (text, number) in [("", UInt64(0)), ("a", 1), (long[0], 127), (long[1], .max)] {
            var written = EncodedMessage(capacity: 0)
            if !text.isEmpty {
                written.append(room: EncodedFieldWriter.size(1, count: text.utf8.count)) { writer in
                    writer.append(1, count: text.utf8.count).copyBytes(from: text.utf8)
                }
            }
            let value = try Google_Protobuf_StringValue(serializedBytes: written.bytes)
            #expect(try value.value == text && value.serializedBytes() == written.bytes)

            var numbered = EncodedMessage(capacity: 16)
            numbered.append(1, number)
            #expect(try Google_Protobuf_UInt64Value(serializedBytes: numbered.bytes).value == number)
            #expect(numbered.bytes.count == EncodedFieldWriter.size(1, number))
        }
    }

    @Test("What is written is as long as was said, for each length of a number and of a tag", arguments: [1, 15, 16, 2047, 2048])
    func sizes(_ number: Int) throws {
        for bits in 0...64 {
            let value = bits == 0 ? 0 : UInt64.max >> (64 - bits)
            var message = EncodedMessage(capacity: 0)
            let room = EncodedFieldWriter.size(number, value)
            message.append(room: room) { $0.append(number, value) }
            #expect(message.bytes.count == room)
            let fields = try #require(read(message.bytes))
            #expect(fields.map(\.0) == [number] && fields.map(\.1) == [nil], "\(value)")
        }
    }

    @Test func whatFailsLeavesNothing() {
        struct Failure: Error, Equatable {}
        var message = EncodedMessage(capacity: 8)
        message.append(1, 7)
        let before = message.bytes
        #expect(throws: Failure()) {
            try message.append(room: 100) { writer throws(Failure) in
                writer.append(1, count: 4).copyBytes(from: [1, 2, 3, 4])
                throw Failure()
            }
        }
        #expect(message.bytes == before)
        // Less than there was room for.
        message.append(room: 100) { $0.append([3]) }
        #expect(message.bytes == before + [3])
    }
}
