import Foundation

/// Reads payloads into the fields that cases name.
struct RawReader {
    private let frame: RawFrame
    private var bytes: ByteReader

    init(_ frame: RawFrame) {
        self.frame = frame
        bytes = ByteReader(frame.payload[...])
    }

    mutating func next<Value: FixedWidthInteger>(_ type: Value.Type) throws(CaseError) -> Value {
        guard let value: Value = bytes.read() else {
            throw CaseError("a \(frame.kind?.name ?? "frame") that is cut short: \(Hex.text(frame.payload))")
        }
        return value
    }

    mutating func integer<Value: FixedWidthInteger>(
        _ name: String, _ type: Value.Type, _ fields: inout [String: JSONValue]
    ) throws(CaseError) {
        fields[name] = .int(Int(clamping: try next(type)))
    }

    mutating func text() -> JSONValue { .string(String(decoding: bytes.remaining, as: UTF8.self)) }

    private mutating func block(_ length: some FixedWidthInteger) throws(CaseError) -> [UInt8] {
        guard let block = bytes.read(count: Int(length)) else {
            throw CaseError("a \(frame.kind?.name ?? "frame") whose lengths do not add up")
        }
        return block
    }

    mutating func call(_ fields: inout [String: JSONValue]) throws(CaseError) {
        let method = try next(UInt32.self)
        fields["method"] = RawFields.methods.first { $0.value == method }.map { .string($0.key) } ?? .int(Int(method))
        fields["remaining"] = .string(String(try next(UInt64.self)))
        try integer("kind", UInt8.self, &fields)
        try integer("lane", UInt8.self, &fields)
        let metadata = try next(UInt16.self)
        try integer("length", UInt32.self, &fields)
        let entries = RawMetadata.decode(try block(metadata))
        fields["metadata"] = entries
        fields["attempt"] = .int(RawMetadata.attempt(in: entries))
        body(&fields)
    }

    mutating func message(_ fields: inout [String: JSONValue]) throws(CaseError) {
        if frame.hasMessage { try integer("length", UInt32.self, &fields) }
        fields["starts"] = .bool(frame.hasMessage)
        fields["fragment"] = .int(bytes.remaining.count)
        if frame.hasMessage, fields["length"]?.int == bytes.remaining.count { body(&fields) }
    }

    mutating func status(_ fields: inout [String: JSONValue]) throws(CaseError) {
        try integer("code", UInt32.self, &fields)
        try integer("processed", UInt8.self, &fields)
        _ = try next(UInt8.self)
        let text = try next(UInt16.self)
        try integer("queued", UInt32.self, &fields)
        try integer("ran", UInt32.self, &fields)
        try integer("retry_after", UInt32.self, &fields)
        let (metadata, details) = (try next(UInt16.self), try next(UInt16.self))
        try integer("length", UInt32.self, &fields)
        fields["text"] = .string(String(decoding: try block(text), as: UTF8.self))
        fields["metadata"] = RawMetadata.decode(try block(metadata))
        fields["details"] = .string(Hex.text(try block(details)))
        body(&fields)
    }

    mutating func hello(_ fields: inout [String: JSONValue]) throws(CaseError) {
        try integer("magic", UInt32.self, &fields)
        try integer("major", UInt16.self, &fields)
        try integer("minor", UInt16.self, &fields)
        for name in [
            "max_frame_size", "max_concurrent_calls", "connection_credit", "call_credit", "max_metadata_size",
            "max_message_size", "min_ping_interval",
        ] { try integer(name, UInt32.self, &fields) }
        let count = try next(UInt16.self)
        _ = try next(UInt16.self)
        var names: [JSONValue] = []
        for _ in 0..<count {
            let name = try block(try next(UInt8.self))
            _ = try next(UInt64.self)
            names.append(.string(String(decoding: name, as: UTF8.self)))
        }
        fields["fingerprints"] = .array(names)
    }

    /// The message in the frame, as far as it is one of this service: `request` in a CALL, `response` in a STATUS.
    private func body(_ fields: inout [String: JSONValue]) {
        fields["message"] = .bool(frame.hasMessage)
        let rest = bytes.remaining
        guard frame.hasMessage, !rest.isEmpty else { return }
        switch frame.kind {
        case .call: fields["request"] = (try? ConformanceRequest(serializedBytes: rest))?.json
        case .status, .message: fields["response"] = (try? ConformanceResponse(serializedBytes: rest))?.json
        default: break
        }
    }
}

/// Metadata of CALL and STATUS (WIRE.md, section 7).
enum RawMetadata {
    /// `[{"number": 2, "value": "text"}, {"key": "name", "hex": "00"}]`, or `{"hex": "..."}` for a whole block.
    static func encode(_ value: JSONValue?) throws(CaseError) -> [UInt8] {
        guard let value else { return [] }
        if value.object != nil {
            var fields = try JSONFields(value, in: "metadata")
            let hex = try fields.string("hex") ?? ""
            try fields.finish()
            return try Hex.bytes(hex)
        }
        var writer = ByteWriter()
        for entry in value.array ?? [] { try write(entry, &writer) }
        return writer.bytes
    }

    private static func write(_ entry: JSONValue, _ writer: inout ByteWriter) throws(CaseError) {
        var fields = try JSONFields(entry, in: "metadata")
        let times = try fields.int("times") ?? 1
        let number: UInt8 = try fields.integer("number") ?? 0
        let key = try fields.string("key").map { Array($0.utf8) } ?? []
        var value = Array((try fields.string("value") ?? "").utf8)
        if let hex = try fields.string("hex") { value = try Hex.bytes(hex) }
        if let size = try fields.int("size") { value = [UInt8](repeating: UInt8(ascii: "x"), count: size) }
        try fields.finish()
        for _ in 0..<times {
            writer.write(number)
            if number == 0 {
                writer.write(UInt8(clamping: key.count))
                writer.write(key)
            }
            writer.write(UInt16(clamping: value.count))
            writer.write(value)
        }
    }

    /// Number 4, or 1 where it is absent.
    static func attempt(in entries: JSONValue) -> Int {
        let entry = entries.array?.first { $0.object?["number"] == .int(4) }
        return entry?.object?["hex"]?.string.flatMap { Int($0, radix: 16) } ?? 1
    }

    static func decode(_ block: [UInt8]) -> JSONValue {
        var reader = ByteReader(block[...])
        var entries: [JSONValue] = []
        while let number: UInt8 = reader.read() {
            var entry: [String: JSONValue] = ["number": .int(Int(number))]
            if number == 0, let size: UInt8 = reader.read(), let key = reader.read(count: Int(size)) {
                entry["key"] = .string(String(decoding: key, as: UTF8.self))
            }
            guard let size: UInt16 = reader.read(), let value = reader.read(count: Int(size)) else { break }
            entry["hex"] = .string(Hex.text(value))
            entries.append(.object(entry))
        }
        return .array(entries)
    }
}

/// Bytes as hexadecimal digits; spaces do not matter.
enum Hex {
    static func bytes(_ text: String) throws(CaseError) -> [UInt8] {
        let digits = text.filter { !$0.isWhitespace }
        guard digits.count.isMultiple(of: 2) else { throw CaseError("\"\(text)\" is no hex") }
        var bytes: [UInt8] = []
        var rest = Substring(digits)
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { throw CaseError("\"\(text)\" is no hex") }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    static func text(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
