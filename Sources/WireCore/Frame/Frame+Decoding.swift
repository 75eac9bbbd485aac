import NIOCore

extension Frame {
    /// Reads the payload of a checked header.
    init(_ header: FrameHeader, payload: inout ByteBuffer) throws(WireViolation) {
        let call = CallID(rawValue: header.call)
        let (hasMessage, ends) = (header.flags & FrameFlags.message != 0, header.flags & FrameFlags.end != 0)
        switch FrameType(rawValue: header.type) {
        case .hello: self = .hello(try HelloFrame(from: &payload))
        case .call: self = .call(call, try CallFrame(from: &payload, hasMessage: hasMessage, ends: ends))
        case .message: self = .message(call, try MessageFrame(from: &payload, starts: hasMessage, ends: ends))
        case .end: self = .end(call)
        case .status: self = .status(call, try StatusFrame(from: &payload, hasMessage: hasMessage))
        case .cancel: self = .cancel(call)
        case .credit: self = .credit(header.call == 0 ? nil : call, try payload.readField())
        case .ping: self = .ping(try payload.readField())
        case .pong: self = .pong(try payload.readField())
        case .drain: self = .drain(try DrainFrame(from: &payload))
        case .drainAck: self = .drainAck(try payload.readField())
        case .goodbye: self = .goodbye(try GoodbyeFrame(from: &payload))
        case nil: self = .skipped(type: header.type)
        }
    }
}

extension CallFrame {
    init(from payload: inout ByteBuffer, hasMessage: Bool, ends: Bool) throws(WireViolation) {
        let fields = payload.readMultipleIntegers(as: (UInt32, UInt64, UInt8, UInt8, UInt16, UInt32).self)
        guard let fields else { throw ByteBuffer.fixedPartCut }
        let (metadataLength, messageLength) = (fields.4, fields.5)
        (method, remainingMicros, kind, lane) = (fields.0, fields.1, fields.2, fields.3)
        metadata = try payload.readBlock(Int(metadataLength), "metadata of a CALL")
        message = try MessageStart(length: messageLength, rest: payload, isPresent: hasMessage, in: "CALL")
        endsRequest = ends
        guard !ends || (message?.isWhole ?? true) else { throw MessageStart.endsEarly }
    }
}

extension MessageFrame {
    init(from payload: inout ByteBuffer, starts: Bool, ends: Bool) throws(WireViolation) {
        endsRequest = ends
        guard starts else {
            guard payload.readableBytes > 0 else { throw Self.empty }
            content = .next(payload)
            return
        }
        let length: UInt32 = try payload.readField()
        guard payload.readableBytes > 0 || length == 0 else { throw Self.empty }
        let start = try MessageStart(length: length, rest: payload, isPresent: true, in: "MSG")
        content = start.map { .start($0) } ?? .next(payload)
        guard !ends || (start?.isWhole ?? true) else { throw MessageStart.endsEarly }
    }

    private static var empty: WireViolation { .connection(.protocolError, 42, "a fragment without bytes") }
}

extension MessageStart {
    /// The message at the end of a payload: nil and no bytes without the flag, never more bytes than declared.
    init?(length: UInt32, rest: ByteBuffer, isPresent: Bool, in frame: String) throws(WireViolation) {
        guard isPresent else {
            guard length == 0, rest.readableBytes == 0 else {
                throw .connection(.protocolError, 3, "message bytes in a \(frame) without the MESSAGE flag")
            }
            return nil
        }
        guard rest.readableBytes <= Int(length) else {
            throw .connection(
                .protocolError, 41, "\(rest.readableBytes) message bytes in a \(frame), \(length) were declared")
        }
        self.init(length: length, fragment: rest.slice())
    }

    var isWhole: Bool { fragment.readableBytes == Int(length) }

    static var endsEarly: WireViolation {
        .connection(.protocolError, 27, "END before the message is whole")
    }
}

extension StatusFrame {
    init(from payload: inout ByteBuffer, hasMessage: Bool) throws(WireViolation) {
        let work = payload.readMultipleIntegers(as: (UInt32, UInt8, UInt8, UInt16, UInt32, UInt32, UInt32).self)
        let lengths = payload.readMultipleIntegers(as: (UInt16, UInt16, UInt32).self)
        guard let work, let (metadataLength, detailsLength, messageLength) = lengths else {
            throw ByteBuffer.fixedPartCut
        }
        let textLength = work.3
        processed = try Self.processed(work.1, reserved: work.2)
        (code, queuedMicros, ranMicros, retryAfterMillis) = (work.0, work.4, work.5, work.6)
        if textLength | metadataLength | detailsLength == 0 {
            beside = .nothing
        } else {
            beside = .parts(
                text: try payload.readBlock(Int(textLength), "text of a STATUS"),
                metadata: try payload.readBlock(Int(metadataLength), "metadata of a STATUS"),
                details: try payload.readBlock(Int(detailsLength), "details of a STATUS"))
        }
        let start = try MessageStart(length: messageLength, rest: payload, isPresent: hasMessage, in: "STATUS")
        message = start?.fragment
        guard start?.isWhole ?? true else {
            throw .connection(.protocolError, 3, "the message of a STATUS is cut short")
        }
        guard message == nil || code == WireStatusCode.ok else {
            throw .connection(.protocolError, 85, "a message beside status \(code)")
        }
    }

    private static func processed(_ raw: UInt8, reserved: UInt8) throws(WireViolation) -> WireStatus.Processed {
        guard reserved == 0 else { throw .connection(.protocolError, 4, "a reserved byte is set in a STATUS") }
        guard let processed = WireStatus.Processed(rawValue: raw) else {
            throw .connection(.protocolError, 84, "processed is \(raw), not 0, 1 or 2")
        }
        return processed
    }
}

extension DrainFrame {
    init(from payload: inout ByteBuffer) throws(WireViolation) {
        lastCall = try payload.readField()
        graceMillis = try payload.readField()
        reason = try payload.readReason()
    }
}

extension GoodbyeFrame {
    init(from payload: inout ByteBuffer) throws(WireViolation) {
        code = CloseCode(rawValue: try payload.readField()) ?? .internalError
        rule = try payload.readField()
        lastCall = try payload.readField()
        reason = try payload.readReason()
    }
}

extension ByteBuffer {
    /// An integer of the fixed part.
    fileprivate mutating func readField<Value: FixedWidthInteger>() throws(WireViolation) -> Value {
        guard let value = readInteger(as: Value.self) else { throw Self.fixedPartCut }
        return value
    }

    fileprivate static var fixedPartCut: WireViolation {
        .connection(.protocolError, 3, "a payload ends within its fixed part")
    }

    /// A block whose length the fixed part gave.
    fileprivate mutating func readBlock(_ length: Int, _ name: String) throws(WireViolation) -> ByteBuffer {
        guard length > 0 else { return ByteBuffer() }
        guard let block = readSlice(length: length) else {
            throw .connection(.protocolError, 3, "\(name) is cut short")
        }
        return block
    }

    /// The rest as text; bytes that are not UTF-8 become U+FFFD.
    fileprivate mutating func readReason() throws(WireViolation) -> String {
        guard readableBytes <= WireLimits.maxReasonSize else {
            throw .connection(
                .protocolError, 3, "a reason of \(readableBytes) bytes, the limit is \(WireLimits.maxReasonSize)")
        }
        return readString(length: readableBytes) ?? ""
    }
}
