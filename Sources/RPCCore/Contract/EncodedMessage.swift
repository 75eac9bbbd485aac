/// A protobuf message that is encoded field by field: what `EncodedFields` reads, written.
package struct EncodedMessage {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// How many bytes a number takes.
    package static func size(varint value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }

    /// The tag and the length of a field of bytes, text or a message.
    package mutating func begin(_ number: Int, count: Int) {
        append(varint: UInt64(number) << 3 | 2)
        append(varint: UInt64(count))
    }

    /// A field of a number.
    package mutating func append(_ number: Int, _ value: UInt64) {
        append(varint: UInt64(number) << 3)
        append(varint: value)
    }

    package mutating func append(_ more: [UInt8]) { bytes += more }

    /// `count` bytes, which `fill` writes where they stay. They are zero before.
    package mutating func append(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count))
        bytes.withUnsafeMutableBytes { fill(UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Takes back what was appended since there were `count` bytes.
    package mutating func rewind(to count: Int) { bytes.removeLast(bytes.count - min(count, bytes.count)) }

    private mutating func append(varint value: UInt64) {
        var rest = value
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
