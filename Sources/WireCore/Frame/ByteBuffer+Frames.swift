package import NIOCore

extension ByteBuffer {
    package mutating func writeHello(_ hello: HelloFrame) {
        writeFrame(.hello) { payload in hello.write(to: &payload) }
    }

    /// CALL with a whole message and nothing behind it.
    mutating func writeCall(_ id: CallID, _ call: OutgoingCall, remainingMicros: UInt64) {
        let metadata = call.metadata.encoded
        let size = CallFrame.fixedSize + metadata.readableBytes + call.body.count
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size + size) { bytes in
            var fields = FieldWriter(bytes)
            fields.write(.call, flags: FrameFlags.message | FrameFlags.end, id, size: size)
            fields.write(call.method)
            fields.write(remainingMicros)
            fields.write(call.kind.rawValue)
            fields.write(call.lane.rawValue)
            fields.write(UInt16(clamping: metadata.readableBytes))
            fields.write(UInt32(clamping: call.body.count))
            metadata.withUnsafeReadableBytes { fields.write(bytes: $0) }
            call.body.withUnsafeBytes { fields.write(bytes: $0) }
            return fields.count
        }
    }

    /// CALL with the first `fragment` of a message of `messageLength` bytes.
    package mutating func writeCall(_ id: CallID, _ call: CallFrame) {
        let flags = (call.message == nil ? 0 : FrameFlags.message) | (call.endsRequest ? FrameFlags.end : 0)
        let length = CallFrame.fixedSize + call.metadata.readableBytes + (call.message?.fragment.readableBytes ?? 0)
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size + length) { bytes in
            var fields = FieldWriter(bytes)
            fields.write(.call, flags: flags, id, size: length)
            fields.write(call.method)
            fields.write(call.remainingMicros)
            fields.write(call.kind)
            fields.write(call.lane)
            fields.write(UInt16(clamping: call.metadata.readableBytes))
            fields.write(call.message?.length ?? 0)
            return fields.count
        }
        writeImmutableBuffer(call.metadata)
        if let message = call.message { writeImmutableBuffer(message.fragment) }
    }

    package mutating func writeMessage(_ id: CallID, _ message: MessageFrame) {
        let (start, fragment): (UInt32?, ByteBuffer) =
            switch message.content {
            case .start(let start): (start.length, start.fragment)
            case .next(let fragment): (nil, fragment)
            }
        let bytes = OutgoingFragment.Bytes(message: .buffer(fragment), range: 0..<fragment.readableBytes)
        writeMessage(id, OutgoingFragment(start: start, bytes: bytes, endsRequest: message.endsRequest))
    }

    /// The same straight from the message that a fragment is of.
    mutating func writeMessage(_ id: CallID, _ fragment: OutgoingFragment) {
        let flags = (fragment.start == nil ? 0 : FrameFlags.message) | (fragment.endsRequest ? FrameFlags.end : 0)
        let size = (fragment.start == nil ? 0 : 4) + fragment.bytes.range.count
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size + size) { bytes in
            var fields = FieldWriter(bytes)
            fields.write(.message, flags: flags, id, size: size)
            if let length = fragment.start { fields.write(length) }
            fragment.bytes.message.withUnsafeBytes { message in
                fields.write(bytes: UnsafeRawBufferPointer(rebasing: message[fragment.bytes.range]))
            }
            return fields.count
        }
    }

    package mutating func writeEnd(_ id: CallID) {
        writeHeader(.end, call: id.rawValue, length: 0)
    }

    /// STATUS; `body` is copied straight to its place behind the fields.
    package mutating func writeStatus(_ id: CallID, _ status: WireStatus, body: MessageBody? = nil) {
        let text = status.message.isEmpty ? nil : status.message.utf8Prefix(WireLimits.maxStatusMessageSize)
        let textSize = text?.count ?? 0
        let details = status.details.readableBytes <= WireLimits.maxStatusDetailsSize ? status.details : ByteBuffer()
        let metadata = status.metadata.encoded
        let bodySize = body?.count ?? 0
        let parts = textSize + metadata.readableBytes + details.readableBytes + bodySize
        let flags = body == nil ? 0 : FrameFlags.message
        let size = StatusFrame.fixedSize + parts
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size + size) { bytes in
            var fields = FieldWriter(bytes)
            fields.write(.status, flags: flags, id, size: size)
            fields.write(status.code)
            fields.write(status.processed.rawValue)
            fields.write(UInt8(0))
            fields.write(UInt16(clamping: textSize))
            fields.write(status.queuedMicros)
            fields.write(status.ranMicros)
            fields.write(status.retryAfterMillis)
            fields.write(UInt16(clamping: metadata.readableBytes))
            fields.write(UInt16(clamping: details.readableBytes))
            fields.write(UInt32(clamping: bodySize))
            return fields.count
        }
        if let text { writeBytes(text) }
        if metadata.readableBytes > 0 { writeImmutableBuffer(metadata) }
        if details.readableBytes > 0 { writeImmutableBuffer(details) }
        body?.write(to: &self)
    }

    /// STATUS that says OK and brings the response.
    mutating func writeAnswer(_ id: CallID, _ timings: WireTimings, _ body: MessageBody) {
        let size = StatusFrame.fixedSize + body.count
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameHeader.size + size) { bytes in
            var fields = FieldWriter(bytes)
            fields.write(.status, flags: FrameFlags.message, id, size: size)
            fields.write(WireStatusCode.ok)
            fields.write(WireStatus.Processed.yes.rawValue)
            fields.write(UInt8(0))
            fields.write(UInt16(0))
            fields.write(timings.queuedMicros)
            fields.write(timings.ranMicros)
            // No advice to retry, no metadata, no details.
            fields.write(UInt64(0))
            fields.write(UInt32(clamping: body.count))
            body.withUnsafeBytes { fields.write(bytes: $0) }
            return fields.count
        }
    }

    package mutating func writeCancel(_ id: CallID) {
        writeHeader(.cancel, call: id.rawValue, length: 0)
    }

    package mutating func writeCredit(_ id: CallID?, _ bytes: UInt32) {
        writeHeader(.credit, call: id?.rawValue ?? 0, length: 4)
        writeInteger(bytes)
    }

    package mutating func writePing(_ value: UInt64) {
        writeHeader(.ping, length: 8)
        writeInteger(value)
    }

    package mutating func writePong(_ value: UInt64) {
        writeHeader(.pong, length: 8)
        writeInteger(value)
    }

    package mutating func writeDrain(_ drain: DrainFrame) {
        writeFrame(.drain) { payload in
            payload.writeMultipleIntegers(drain.lastCall, drain.graceMillis)
            payload.writeBytes(drain.reason.utf8Prefix(WireLimits.maxReasonSize))
        }
    }

    package mutating func writeDrainAck(_ lastStarted: UInt32) {
        writeHeader(.drainAck, length: 4)
        writeInteger(lastStarted)
    }

    package mutating func writeGoodbye(_ goodbye: GoodbyeFrame) {
        writeFrame(.goodbye) { payload in
            payload.writeMultipleIntegers(goodbye.code.rawValue, goodbye.rule, goodbye.lastCall)
            payload.writeBytes(goodbye.reason.utf8Prefix(WireLimits.maxReasonSize))
        }
    }

    private mutating func writeHeader(_ type: FrameType, flags: UInt8 = 0, call: UInt32 = 0, length: Int) {
        writeMultipleIntegers(UInt32(clamping: length), type.rawValue, flags, UInt16(0), call)
    }

    /// A frame of the connection whose length is known once it is written.
    private mutating func writeFrame(_ type: FrameType, _ body: (inout ByteBuffer) -> Void) {
        let start = writerIndex
        writeHeader(type, length: 0)
        body(&self)
        setInteger(UInt32(clamping: writerIndex - start - FrameHeader.size), at: start)
    }
}

/// A frame, written where there is room for it: one check for all of its fields.
private struct FieldWriter {
    private let bytes: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    mutating func write(_ value: some FixedWidthInteger) {
        bytes.storeBytes(of: value.bigEndian, toByteOffset: count, as: type(of: value))
        count += MemoryLayout.size(ofValue: value)
    }

    mutating func write(bytes source: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: source)
        count += source.count
    }

    /// The header of a frame of a call with `size` bytes of payload.
    mutating func write(_ type: FrameType, flags: UInt8, _ id: CallID, size: Int) {
        write(UInt32(clamping: size))
        write(type.rawValue)
        write(flags)
        write(UInt16(0))
        write(id.rawValue)
    }
}

extension String {
    /// At most `limit` bytes of the text, cut between characters.
    func utf8Prefix(_ limit: Int) -> Substring.UTF8View {
        guard utf8.count > limit else { return self[...].utf8 }
        var end = utf8.index(startIndex, offsetBy: limit)
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return self[..<end].utf8
    }
}
