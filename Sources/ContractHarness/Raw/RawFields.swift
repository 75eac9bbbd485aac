import Foundation

/// Frames as cases write them: the names of WIRE.md with their values.
enum RawFields {
    /// Methods of the conformance services by name.
    static let methods: [String: UInt32] = Dictionary(
        uniqueKeysWithValues: (ConformanceServiceContract.service.methods
            + ConformanceSyncServiceContract.service.methods)
            .map { ($0.name, $0.id) })

    // MARK: Writing

    /// - Throws: `CaseError` for a frame that makes no sense even as a wrong one.
    static func encode(_ value: JSONValue) throws(CaseError) -> [UInt8] {
        if let text = value.string { return try Hex.bytes(text) }
        var fields = try JSONFields(value, in: "frame")
        if let hex = try fields.string("hex") {
            try fields.finish()
            return try Hex.bytes(hex)
        }
        if let text = try fields.string("ascii") {
            try fields.finish()
            return Array(text.utf8)
        }
        var frame = try frame(&fields)
        frame.flags = try fields.integer("flags") ?? frame.flags
        frame.reserved = try fields.integer("reserved") ?? 0
        frame.declaredLength = try fields.integer("raw_length")
        let cut = try fields.int("truncate")
        try fields.finish()
        return cut.map { Array(frame.bytes.prefix($0)) } ?? frame.bytes
    }

    private static func frame(_ fields: inout JSONFields) throws(CaseError) -> RawFrame {
        guard let name = try fields.string("type") else { throw CaseError("frame: it has no type") }
        let call: UInt32 = try fields.integer("call") ?? 0
        guard let kind = RawFrame.Kind(name: name) else {
            let payload = try Hex.bytes(try fields.string("payload") ?? "")
            guard let type = UInt8(name.dropFirst(2), radix: 16) else { throw CaseError("frame: the type \(name)") }
            return RawFrame(type: type, flags: 0, reserved: 0, call: call, payload: payload)
        }
        var writer = ByteWriter()
        let flags = try write(kind, &fields, &writer)
        let payload = if let hex = try fields.string("payload") { try Hex.bytes(hex) } else { writer.bytes }
        return RawFrame(kind, flags: flags, call: call, payload: payload)
    }

    private static func write(
        _ kind: RawFrame.Kind, _ fields: inout JSONFields, _ writer: inout ByteWriter
    ) throws(CaseError) -> UInt8 {
        switch kind {
        case .hello: try hello(&fields, &writer)
        case .call: return try call(&fields, &writer)
        case .message: return try message(&fields, &writer)
        case .status: return try status(&fields, &writer)
        case .end, .cancel: break
        case .credit: writer.write(try fields.integer("bytes", as: UInt32.self) ?? 0)
        case .ping, .pong: writer.write(try fields.integer("value", as: UInt64.self) ?? 0)
        case .drain:
            writer.write(try fields.integer("last_call", as: UInt32.self) ?? 0)
            writer.write(try fields.integer("grace", as: UInt32.self) ?? 30_000)
            writer.write(Array((try fields.string("reason") ?? "").utf8))
        case .drainAck: writer.write(try fields.integer("last_call", as: UInt32.self) ?? 0)
        case .goodbye:
            writer.write(try fields.integer("code", as: UInt16.self) ?? 0)
            writer.write(try fields.integer("rule", as: UInt16.self) ?? 0)
            writer.write(try fields.integer("last_call", as: UInt32.self) ?? 0)
            writer.write(Array((try fields.string("reason") ?? "").utf8))
        }
        return 0
    }

    private static func hello(_ fields: inout JSONFields, _ writer: inout ByteWriter) throws(CaseError) {
        writer.write(try fields.integer("magic", as: UInt32.self) ?? 0x4C4B_5354)
        writer.write(try fields.integer("major", as: UInt16.self) ?? 1)
        writer.write(try fields.integer("minor", as: UInt16.self) ?? 0)
        writer.write(try fields.integer("max_frame_size", as: UInt32.self) ?? 65_536)
        writer.write(try fields.integer("max_concurrent_calls", as: UInt32.self) ?? 0)
        writer.write(try fields.integer("connection_credit", as: UInt32.self) ?? 4_194_304)
        writer.write(try fields.integer("call_credit", as: UInt32.self) ?? 262_144)
        writer.write(try fields.integer("max_metadata_size", as: UInt32.self) ?? 8_192)
        writer.write(try fields.integer("max_message_size", as: UInt32.self) ?? 4_194_304)
        writer.write(try fields.integer("min_ping_interval", as: UInt32.self) ?? 1_000)
        let (prints, extensions) = (try fields.list("fingerprints"), try fields.list("extensions"))
        writer.write(UInt16(clamping: prints.count))
        writer.write(UInt16(clamping: extensions.count))
        for entry in prints {
            var pair = try JSONFields(entry, in: "fingerprint")
            let name = Array((try pair.string("name") ?? "").utf8)
            writer.write(UInt8(clamping: name.count))
            writer.write(name)
            writer.write(try pair.integer("fingerprint", as: UInt64.self) ?? 0)
            try pair.finish()
        }
        for entry in extensions {
            var pair = try JSONFields(entry, in: "extension")
            let value = try Hex.bytes(try pair.string("value") ?? "")
            writer.write(try pair.integer("tag", as: UInt16.self) ?? 0)
            writer.write(UInt16(clamping: value.count))
            writer.write(value)
            try pair.finish()
        }
    }

    private static func call(_ fields: inout JSONFields, _ writer: inout ByteWriter) throws(CaseError) -> UInt8 {
        let method = fields.value("method") ?? .string("Unary")
        writer.write(try number(of: method))
        writer.write(try fields.integer("remaining", as: UInt64.self) ?? UInt64.max)
        writer.write(try fields.integer("kind", as: UInt8.self) ?? 0)
        writer.write(try fields.integer("lane", as: UInt8.self) ?? 0)
        let metadata = try RawMetadata.encode(fields.value("metadata"))
        let body = try RawBody(&fields)
        writer.write(try fields.integer("metadata_length", as: UInt16.self) ?? UInt16(clamping: metadata.count))
        writer.write(body?.length ?? 0)
        writer.write(metadata)
        writer.write(body?.fragment ?? [])
        return (body == nil ? 0 : RawFrame.messageFlag) | (try fields.bool("end") ? RawFrame.endFlag : 0)
    }

    private static func number(of method: JSONValue) throws(CaseError) -> UInt32 {
        if let name = method.string, let id = methods[name] { return id }
        guard let number = method.int, let id = UInt32(exactly: number) else {
            throw CaseError("frame: there is no method \(method.text)")
        }
        return id
    }

    private static func message(_ fields: inout JSONFields, _ writer: inout ByteWriter) throws(CaseError) -> UInt8 {
        let end = try fields.bool("end") ? RawFrame.endFlag : 0
        if fields.has("next") {
            writer.write(try RawBody.bytes(of: fields.value("next") ?? .null))
            return end
        }
        let body = try RawBody(&fields)
        writer.write(body?.length ?? 0)
        writer.write(body?.fragment ?? [])
        return end | RawFrame.messageFlag
    }

    private static func status(_ fields: inout JSONFields, _ writer: inout ByteWriter) throws(CaseError) -> UInt8 {
        let text = Array((try fields.string("text") ?? "").utf8)
        let metadata = try RawMetadata.encode(fields.value("metadata"))
        let details = try Hex.bytes(try fields.string("details") ?? "")
        let body = try RawBody(&fields)
        let code: UInt32 = try fields.integer("code") ?? 0
        writer.write(code)
        writer.write(try fields.integer("processed", as: UInt8.self) ?? 2)
        writer.write(UInt8(0))
        writer.write(UInt16(clamping: text.count))
        writer.write(try fields.integer("queued", as: UInt32.self) ?? 0)
        writer.write(try fields.integer("ran", as: UInt32.self) ?? 0)
        writer.write(try fields.integer("retry_after", as: UInt32.self) ?? 0)
        writer.write(UInt16(clamping: metadata.count))
        writer.write(UInt16(clamping: details.count))
        writer.write(body?.length ?? 0)
        writer.write(text + metadata + details + (body?.fragment ?? []))
        return body == nil ? 0 : RawFrame.messageFlag
    }

    // MARK: Reading

    /// - Throws: `CaseError` when the payload is not what its type says.
    static func decode(_ frame: RawFrame) throws(CaseError) -> [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "type": .string(frame.kind?.name ?? "0x\(String(frame.type, radix: 16))"),
            "call": .int(Int(frame.call)), "flags": .int(Int(frame.flags)), "size": .int(frame.payload.count),
        ]
        if [.call, .message].contains(frame.kind) { fields["end"] = .bool(frame.endsRequest) }
        var reader = RawReader(frame)
        switch frame.kind {
        case .call: try reader.call(&fields)
        case .message: try reader.message(&fields)
        case .status: try reader.status(&fields)
        case .hello: try reader.hello(&fields)
        case .credit: try reader.integer("bytes", UInt32.self, &fields)
        case .ping, .pong: fields["value"] = .string(String(try reader.next(UInt64.self)))
        case .drain:
            try reader.integer("last_call", UInt32.self, &fields)
            try reader.integer("grace", UInt32.self, &fields)
            fields["reason"] = reader.text()
        case .drainAck: try reader.integer("last_call", UInt32.self, &fields)
        case .goodbye:
            try reader.integer("code", UInt16.self, &fields)
            try reader.integer("rule", UInt16.self, &fields)
            try reader.integer("last_call", UInt32.self, &fields)
            fields["reason"] = reader.text()
        case .end, .cancel, nil: break
        }
        return fields
    }
}

/// A message as a case gives it, or the start of one.
struct RawBody {
    let length: UInt32
    let fragment: [UInt8]

    /// Nil without `message`. `length` declares another length; `fragment` takes only so many bytes into this frame.
    init?(_ fields: inout JSONFields) throws(CaseError) {
        let declared: UInt32? = try fields.integer("length")
        let count = try fields.int("fragment")
        guard let value = fields.value("message") else {
            guard let declared else { return nil }
            (length, fragment) = (declared, [])
            return
        }
        let bytes = try Self.bytes(of: value)
        length = declared ?? UInt32(clamping: bytes.count)
        fragment = count.map { Array(bytes.prefix($0)) } ?? bytes
    }

    /// `{"request": {...}}`, `{"response": {...}}`, `{"hex": "..."}`, `{"size": 10}`, each with `from` and `to` for a
    /// part, or `encoded` for a request that has so many bytes.
    static func bytes(of value: JSONValue) throws(CaseError) -> [UInt8] {
        var fields = try JSONFields(value, in: "message")
        let (from, to) = (try fields.int("from"), try fields.int("to"))
        let bytes = try whole(&fields)
        try fields.finish()
        return Array(bytes[min(from ?? 0, bytes.count)..<max(min(to ?? bytes.count, bytes.count), from ?? 0)])
    }

    private static func whole(_ fields: inout JSONFields) throws(CaseError) -> [UInt8] {
        if let hex = try fields.string("hex") { return try Hex.bytes(hex) }
        if let size = try fields.int("size") { return Array(ConformancePayload.bytes(0, size: size)) }
        do {
            if let size = try fields.int("encoded") {
                return try ConformanceRequest.padded(to: size, plan: fields.value("plan")).serializedBytes()
            }
            if let request = fields.value("request") {
                return try ConformanceRequest(json: request).serializedBytes()
            }
            if let response = fields.value("response") {
                return try ConformanceResponse(json: response).serializedBytes()
            }
        } catch {
            throw CaseError("message: \(error)")
        }
        throw CaseError("message: needs request, response, hex, size or encoded")
    }
}

extension ConformanceRequest {
    /// A request that has exactly so many bytes when it is encoded.
    static func padded(to size: Int, plan: JSONValue?) throws -> ConformanceRequest {
        var request = ConformanceRequest()
        if let plan { request.plan = try ConformancePlan(json: plan) }
        for payload in (0...size).reversed() {
            request.payload = Data(count: payload)
            let count: [UInt8] = try request.serializedBytes()
            if count.count == size { return request }
            guard count.count > size else { break }
        }
        throw CaseError("no request has exactly \(size) bytes")
    }
}
