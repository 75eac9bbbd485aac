/// A protobuf message that is encoded field by field: what `EncodedFields` reads, written.
package struct EncodedMessage {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// A field of a number.
    package mutating func append(_ number: Int, _ value: UInt64) {
        append(room: EncodedFieldWriter.size(number, value)) { $0.append(number, value) }
    }

    /// What `write` writes where it stays; nothing when it throws.
    ///
    /// - Parameter room: As many bytes as it writes at most.
    package mutating func append<Failure: Error>(
        room: Int, _ write: (inout EncodedFieldWriter) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.append(addingCapacity: room) { span throws(Failure) in
            try span.withUnsafeMutableBufferPointer { free, written throws(Failure) in
                var writer = EncodedFieldWriter(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(free)[..<room]))
                try write(&writer)
                written = writer.count
            }
        }
    }
}

/// Fields of a message, written where there is room for them.
package struct EncodedFieldWriter {
    private let room: UnsafeMutableRawBufferPointer
    /// Bytes that were written.
    package private(set) var count = 0

    fileprivate init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    /// How many bytes a number takes.
    package static func size(varint value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }

    /// How many bytes a field of a number takes.
    package static func size(_ number: Int, _ value: UInt64) -> Int { size(varint: UInt64(number) << 3) + size(varint: value) }

    /// How many bytes a field of `count` bytes takes, its tag and its length included.
    package static func size(_ number: Int, count: Int) -> Int { size(number, UInt64(count)) + count }

    /// The tag and the length of a field of bytes, text or a message.
    package mutating func begin(_ number: Int, count: Int) {
        write(varint: UInt64(number) << 3 | 2)
        write(varint: UInt64(count))
    }

    /// A field of a number.
    package mutating func append(_ number: Int, _ value: UInt64) {
        write(varint: UInt64(number) << 3)
        write(varint: value)
    }

    /// A field of bytes: where they stay, for the caller to write, each of them.
    package mutating func append(_ number: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        begin(number, count: count)
        return take(count)
    }

    /// What follows `begin`.
    package mutating func append(_ bytes: [UInt8]) { take(bytes.count).copyBytes(from: bytes) }

    private mutating func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
        // Whoever made the room has counted wrongly, and would write into what is not his.
        precondition(count <= room.count - self.count)
        defer { self.count += count }
        return UnsafeMutableRawBufferPointer(rebasing: room[self.count..<(self.count + count)])
    }

    private mutating func write(varint value: UInt64) {
        let target = take(Self.size(varint: value))
        var rest = value
        for position in 0..<(target.count - 1) {
            target[position] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
        }
        target[target.count - 1] = UInt8(truncatingIfNeeded: rest)
    }
}
