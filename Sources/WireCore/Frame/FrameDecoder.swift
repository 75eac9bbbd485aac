package import NIOCore

/// Bytes to frames, incrementally: any split of the same bytes gives the same frames.
///
/// A frame's length is judged on its header alone (W-02); memory grows with what has arrived, never with what a
/// header promises. Payloads are slices of what was read.
package struct FrameDecoder: Sendable {
    private let maxFrameSize: UInt32
    private var expectsHello = true
    /// The type of the last frame that was handed out.
    private(set) var lastType: UInt8?
    /// The beginning of a frame whose rest had not come.
    private var partial = ByteBuffer()
    /// What came behind it.
    private var buffer = ByteBuffer()

    package init(maxFrameSize: UInt32) {
        self.maxFrameSize = maxFrameSize
    }

    /// Whether part of a frame waits for the rest.
    package var holdsPartialFrame: Bool { partial.readableBytes + buffer.readableBytes > 0 }

    /// Adds what was read; without a copy when all that came before has been taken.
    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes > 0 {
            buffer.writeImmutableBuffer(bytes)
        } else {
            buffer = bytes
        }
    }

    /// The next whole frame, or nil until more bytes come.
    ///
    /// - Throws: a connection error; what is left makes no sense after it.
    package mutating func next() throws(WireViolation) -> Frame? {
        guard partial.readableBytes > 0 else {
            guard let header = FrameHeader(peeking: buffer) else { return nil }
            try check(header)
            return try frame(header, Self.takePayload(of: header, from: &buffer))
        }
        // No more is copied than this one frame is short of: what follows is read where it is.
        fill(to: FrameHeader.size)
        guard let header = FrameHeader(peeking: partial) else { return nil }
        try check(header)
        fill(to: FrameHeader.size + Int(header.length))
        let payload = Self.takePayload(of: header, from: &partial)
        if partial.readableBytes == 0 { partial = ByteBuffer() }
        return try frame(header, payload)
    }

    private static func takePayload(of header: FrameHeader, from bytes: inout ByteBuffer) -> ByteBuffer? {
        guard bytes.readableBytes >= FrameHeader.size + Int(header.length) else { return nil }
        bytes.moveReaderIndex(forwardBy: FrameHeader.size)
        return bytes.readSlice(length: Int(header.length))
    }

    private mutating func frame(_ header: FrameHeader, _ payload: ByteBuffer?) throws(WireViolation) -> Frame? {
        guard var payload else { return nil }
        expectsHello = false
        lastType = header.type
        return try Frame(header, payload: &payload)
    }

    /// Moves what the frame under way is short of, as far as it has come.
    private mutating func fill(to size: Int) {
        let missing = size - partial.readableBytes
        guard missing > 0, var more = buffer.readSlice(length: min(missing, buffer.readableBytes)) else { return }
        partial.writeBuffer(&more)
    }

    /// Lets go of the frames that were handed out: call it when `next()` has returned nil.
    package mutating func releaseConsumed() {
        guard buffer.readableBytes > 0 else { return buffer = ByteBuffer() }
        guard partial.readableBytes == 0 else { return }
        // What was read together with it goes, unless there was nothing.
        partial = buffer.readerIndex == 0 ? buffer : ByteBuffer(bytes: buffer.readableBytesView)
        buffer = ByteBuffer()
    }

    /// What the header alone can show to be wrong.
    private func check(_ header: FrameHeader) throws(WireViolation) {
        let type = FrameType(rawValue: header.type)
        guard !expectsHello || type == .hello else {
            throw .connection(.protocolError, 10, "the first frame has type \(header.type), not HELLO")
        }
        let limit = expectsHello ? WireLimits.maxHelloSize : maxFrameSize
        guard header.length <= limit else {
            throw .connection(.frameTooLarge, 2, "a frame of \(header.length) bytes, the limit is \(limit)")
        }
        guard let type else { return try checkUnknown(header) }
        guard header.reserved == 0, header.flags & ~type.knownFlags == 0 else {
            throw .connection(.protocolError, 4, "reserved bits are set in a \(type) frame")
        }
        let (length, fixed) = (Int(header.length), type.fixedSize)
        guard type == .hello || (type.hasVariablePart ? length >= fixed : length == fixed) else {
            throw .connection(.protocolError, 3, "a \(type) frame of \(length) bytes, its fixed part has \(fixed)")
        }
        try checkCall(header.call, type)
    }

    private func checkUnknown(_ header: FrameHeader) throws(WireViolation) {
        guard header.type & FrameType.ignorableBit != 0 else {
            throw .connection(.protocolError, 6, "frame type \(header.type) is unknown and not ignorable")
        }
    }

    private func checkCall(_ call: UInt32, _ type: FrameType) throws(WireViolation) {
        switch type {
        case .call, .message, .end, .status, .cancel:
            guard (1...CallID.max.rawValue).contains(call) else {
                throw .connection(.protocolError, 5, "a \(type) frame with call id \(call)")
            }
        case .credit:
            guard call <= CallID.max.rawValue else {
                throw .connection(.protocolError, 5, "a \(type) frame with call id \(call)")
            }
        case .hello, .ping, .pong, .drain, .drainAck, .goodbye:
            guard call == 0 else { throw .connection(.protocolError, 5, "a \(type) frame with call id \(call)") }
        }
    }
}
