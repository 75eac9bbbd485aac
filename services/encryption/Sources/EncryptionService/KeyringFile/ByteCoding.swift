import LibCrypto

extension FixedWidthInteger {
    /// Most significant byte first.
    var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}

/// Collects bytes. Room is taken ahead in steps, and what is left behind is wiped, since the bytes are secrets.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(4096) }

    mutating func write(_ number: some FixedWidthInteger) { write(number.bigEndianBytes) }

    mutating func write(_ more: some Collection<UInt8>) {
        if bytes.count + more.count > bytes.capacity { grow(by: more.count) }
        bytes.append(contentsOf: more)
    }

    mutating func wipe() { bytes.withUnsafeMutableBytes { LibCrypto.wipe($0) } }

    private mutating func grow(by count: Int) {
        var larger: [UInt8] = []
        larger.reserveCapacity(2 * (bytes.count + count))
        larger.append(contentsOf: bytes)
        wipe()
        bytes = larger
    }
}

/// Takes bytes from the front; refuses to go beyond the end.
struct ByteReader {
    struct Malformed: Error {}

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    mutating func read<Number: FixedWidthInteger>() throws -> Number {
        try read(count: MemoryLayout<Number>.size).reduce(0) { $0 << 8 | Number($1) }
    }

    mutating func read(count: Int) throws -> [UInt8] {
        guard count <= bytes.count - index else { throw Malformed() }
        defer { index += count }
        return Array(bytes[index..<(index + count)])
    }
}
