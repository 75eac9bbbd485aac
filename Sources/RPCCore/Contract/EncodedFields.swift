/// The fields of an encoded protobuf message, one after the other, where they are: for messages of so many bytes that decoding
/// costs more than what is done with them (https://protobuf.dev/programming-guides/encoding/).
///
/// What SwiftProtobuf refuses is refused here. Nothing is copied: fields are good for as long as the bytes are.
package struct EncodedFields {
    /// One field as it stands there.
    package struct Field {
        /// From 1 to 2^29 - 1.
        package let number: Int
        /// What a field of bytes, text or a message holds; nil for a field of another type.
        package let bytes: UnsafeRawBufferPointer?
        /// The whole field, its tag included.
        package let encoded: UnsafeRawBufferPointer
    }

    /// The bytes are no message.
    package struct Malformed: Error, Hashable {}

    /// Groups within groups, as many as SwiftProtobuf takes.
    private static let deepest = 99

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The next field; nil behind the last one.
    package mutating func next() throws(Malformed) -> Field? {
        guard position < bytes.count else { return nil }
        let start = position
        let (number, type) = try tag()
        let content = try content(number, type, depth: 0)
        return Field(number: number, bytes: content, encoded: UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
    }

    /// How a field's length is told.
    private enum WireType: UInt64 {
        case varint, fixed64, bytes, startGroup, endGroup, fixed32
    }

    private mutating func tag() throws(Malformed) -> (Int, WireType) {
        let tag = try varint()
        guard tag <= UInt32.max, tag >> 3 > 0, let type = WireType(rawValue: tag & 0b111) else { throw Malformed() }
        return (Int(tag >> 3), type)
    }

    private mutating func content(_ number: Int, _ type: WireType, depth: Int) throws(Malformed) -> UnsafeRawBufferPointer? {
        switch type {
        case .varint: _ = try varint()
        case .fixed64: _ = try take(8)
        case .fixed32: _ = try take(4)
        case .bytes: return try take(varint())
        case .startGroup: try skipGroup(number, depth: depth + 1)
        case .endGroup: throw Malformed()
        }
        return nil
    }

    private mutating func skipGroup(_ number: Int, depth: Int) throws(Malformed) {
        guard depth <= Self.deepest else { throw Malformed() }
        while true {
            let (inner, type) = try tag()
            if type == .endGroup {
                guard inner == number else { throw Malformed() }
                return
            }
            _ = try content(inner, type, depth: depth)
        }
    }

    private mutating func take(_ count: UInt64) throws(Malformed) -> UnsafeRawBufferPointer {
        guard count <= UInt64(bytes.count - position) else { throw Malformed() }
        defer { position += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + Int(count))])
    }

    /// Ten bytes at most, of which the last has one bit that counts.
    private mutating func varint() throws(Malformed) -> UInt64 {
        // Most tags and many lengths are of one byte.
        if position < bytes.count, bytes[position] < 0x80 {
            position += 1
            return UInt64(bytes[position - 1])
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(Malformed) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 70 {
            guard position < bytes.count else { throw Malformed() }
            let byte = UInt64(bytes[position])
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw Malformed()
    }
}
