import Foundation

/// A frame as its bytes: header and payload, unchecked. What this harness knows of the wire by itself, apart from the
/// implementations that it tests.
struct RawFrame: Sendable, Equatable {
    static let headerSize = 12

    enum Kind: UInt8, CaseIterable, Sendable {
        case hello = 1
        case call, message, end, status, cancel, credit, ping, pong, drain, drainAck, goodbye

        /// As WIRE.md and the cases write it.
        var name: String {
            switch self {
            case .message: "MSG"
            case .drainAck: "DRAIN_ACK"
            default: "\(self)".uppercased()
            }
        }

        init?(name: String) {
            guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
            self = kind
        }
    }

    static let messageFlag: UInt8 = 1
    static let endFlag: UInt8 = 2

    var type: UInt8
    var flags: UInt8 = 0
    var reserved: UInt16 = 0
    var call: UInt32 = 0
    var payload: [UInt8] = []
    /// False for bytes that are no frame of this protocol: they are the payload, and nothing else here counts.
    var isFrame = true
    /// Another length than the payload's, for lies.
    var declaredLength: UInt32?

    init(_ kind: Kind, flags: UInt8 = 0, call: UInt32 = 0, payload: [UInt8] = []) {
        self.type = kind.rawValue
        self.flags = flags
        self.call = call
        self.payload = payload
    }

    init(type: UInt8, flags: UInt8, reserved: UInt16, call: UInt32, payload: [UInt8]) {
        self.type = type
        self.flags = flags
        self.reserved = reserved
        self.call = call
        self.payload = payload
    }

    var kind: Kind? { Kind(rawValue: type) }
    var hasMessage: Bool { flags & Self.messageFlag != 0 }
    var endsRequest: Bool { flags & Self.endFlag != 0 }

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(declaredLength ?? UInt32(clamping: payload.count))
        writer.write(type)
        writer.write(flags)
        writer.write(reserved)
        writer.write(call)
        return writer.bytes + payload
    }

    /// For the log of a case that fails.
    var summary: String {
        let name = kind?.name ?? "type 0x\(String(type, radix: 16))"
        let id = call == 0 ? "" : " call \(call)"
        return "\(name)\(id) flags \(flags), \(payload.count) bytes\(fields.map { ": \($0)" } ?? "")"
    }

    private var fields: String? {
        guard kind != .hello, kind != .message, let fields = try? RawFields.decode(self) else { return nil }
        return JSONValue.object(fields.filter { $0.key != "type" && $0.key != "call" }).text
    }
}

/// Cuts a stream of bytes into frames.
struct RawFrameCutter: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0

    /// No frame is believed to be longer.
    private static let longest = 16 * 1024 * 1024

    mutating func append(_ new: some Sequence<UInt8>) {
        if start > 0, start == bytes.count { (bytes, start) = ([], 0) }
        bytes.append(contentsOf: new)
    }

    /// Bytes of a frame that has begun.
    var pending: Int { bytes.count - start }

    /// The next whole frame. Bytes that are no frame of this protocol come as they are, in one that says so.
    mutating func next() -> RawFrame? {
        var reader = ByteReader(bytes[start...])
        guard let length: UInt32 = reader.read(), let type: UInt8 = reader.read(), let flags: UInt8 = reader.read(),
            let reserved: UInt16 = reader.read(), let call: UInt32 = reader.read()
        else { return nil }
        guard length <= Self.longest else { return takeAll() }
        guard let payload = reader.read(count: Int(length)) else { return nil }
        start += RawFrame.headerSize + payload.count
        if start > 1 << 20 {
            bytes.removeFirst(start)
            start = 0
        }
        return RawFrame(type: type, flags: flags, reserved: reserved, call: call, payload: payload)
    }

    private mutating func takeAll() -> RawFrame {
        defer { (bytes, start) = ([], 0) }
        var raw = RawFrame(type: 0, flags: 0, reserved: 0, call: 0, payload: Array(bytes[start...]))
        raw.isFrame = false
        return raw
    }
}

/// Big-endian integers, written.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ more: [UInt8]) { bytes += more }
}

/// Big-endian integers, read.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var remaining: [UInt8] { Array(rest) }

    mutating func read<Value: FixedWidthInteger>() -> Value? {
        let size = MemoryLayout<Value>.size
        guard rest.count >= size else { return nil }
        defer { rest = rest.dropFirst(size) }
        return rest.prefix(size).reduce(Value(0)) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    mutating func read(count: Int) -> [UInt8]? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
