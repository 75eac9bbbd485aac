import NIOCore

/// What every connection agrees on before the first byte.
package enum WireProtocol {
    /// The ALPN name (W-00). Its number is the major version.
    package static let alpn = "lockstep/1"
    /// The first four bytes of a HELLO payload: `LKST`.
    package static let magic: UInt32 = 0x4C4B_5354
    package static let majorVersion: UInt16 = 1
    package static let minorVersion: UInt16 = 0
}

/// The twelve bytes before every payload (W-01), big-endian:
/// `length:u32 type:u8 flags:u8 reserved:u16 call:u32`.
package struct FrameHeader: Equatable, Sendable {
    package static let size = 12

    /// Bytes of payload after the header.
    package var length: UInt32
    package var type: UInt8
    package var flags: UInt8
    package var reserved: UInt16
    /// 0 on frames of the connection.
    package var call: UInt32

    package init(length: UInt32, type: UInt8, flags: UInt8 = 0, reserved: UInt16 = 0, call: UInt32 = 0) {
        self.length = length
        self.type = type
        self.flags = flags
        self.reserved = reserved
        self.call = call
    }

    /// The header at the reader index, which stays; nil while fewer than twelve bytes are there.
    init?(peeking buffer: ByteBuffer) {
        let fields = buffer.getMultipleIntegers(
            at: buffer.readerIndex, as: (UInt32, UInt8, UInt8, UInt16, UInt32).self)
        guard let (length, type, flags, reserved, call) = fields else { return nil }
        self.init(length: length, type: type, flags: flags, reserved: reserved, call: call)
    }
}

/// Frame types. Bit 7 of an unknown type asks the receiver to skip it (W-07).
package enum FrameType: UInt8, Sendable, CaseIterable {
    case hello = 0x01
    case call = 0x02
    case message = 0x03
    case end = 0x04
    case status = 0x05
    case cancel = 0x06
    case credit = 0x07
    case ping = 0x08
    case pong = 0x09
    case drain = 0x0A
    case drainAck = 0x0B
    case goodbye = 0x0C

    /// Set in types that a receiver without knowledge of them skips.
    static let ignorableBit: UInt8 = 0x80

    /// As WIRE.md writes it: `DRAIN_ACK`.
    package var name: String {
        switch self {
        case .hello: "HELLO"
        case .call: "CALL"
        case .message: "MSG"
        case .end: "END"
        case .status: "STATUS"
        case .cancel: "CANCEL"
        case .credit: "CREDIT"
        case .ping: "PING"
        case .pong: "PONG"
        case .drain: "DRAIN"
        case .drainAck: "DRAIN_ACK"
        case .goodbye: "GOODBYE"
        }
    }

    /// Flags that may be set.
    var knownFlags: UInt8 {
        switch self {
        case .call, .message: FrameFlags.message | FrameFlags.end
        case .status: FrameFlags.message
        case .hello, .end, .cancel, .credit, .ping, .pong, .drain, .drainAck, .goodbye: 0
        }
    }

    /// Bytes of the fixed part of the payload.
    var fixedSize: Int {
        switch self {
        case .hello: HelloFrame.fixedSize
        case .call: CallFrame.fixedSize
        case .status: StatusFrame.fixedSize
        case .message, .end, .cancel: 0
        case .credit, .drainAck: 4
        case .ping, .pong, .drain, .goodbye: 8
        }
    }

    /// Whether the payload may be longer than its fixed part.
    var hasVariablePart: Bool {
        switch self {
        case .hello, .call, .message, .status, .drain, .goodbye: true
        case .end, .cancel, .credit, .ping, .pong, .drainAck: false
        }
    }
}

/// Bits of a header's `flags`.
enum FrameFlags {
    /// CALL, STATUS: the payload ends with (the start of) a message. MSG: a new message starts here.
    static let message: UInt8 = 0x01
    /// CALL, MSG: the client sends nothing more on this call.
    static let end: UInt8 = 0x02
}
