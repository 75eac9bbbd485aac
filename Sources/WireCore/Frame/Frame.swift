package import NIOCore

/// A frame whose syntax is right: every length adds up, every reserved bit is zero, the call id is in its range.
/// Whether it may come *now* is for the state machines to say.
package enum Frame: Equatable, Sendable {
    case hello(HelloFrame)
    case call(CallID, CallFrame)
    case message(CallID, MessageFrame)
    case end(CallID)
    case status(CallID, StatusFrame)
    case cancel(CallID)
    /// More message bytes: on the call, or with nil on the connection.
    case credit(CallID?, UInt32)
    case ping(UInt64)
    case pong(UInt64)
    case drain(DrainFrame)
    /// The highest id the client started; 0: none.
    case drainAck(UInt32)
    case goodbye(GoodbyeFrame)
    /// An unknown type that asks to be skipped.
    case skipped(type: UInt8)
}

/// CALL. Fixed part: `method:u32 remaining:u64 kind:u8 lane:u8 metadataLength:u16 messageLength:u32`.
package struct CallFrame: Equatable, Sendable {
    static let fixedSize = 20
    /// `remaining` of a call without deadline.
    package static let noDeadline = UInt64.max

    package var method: UInt32
    /// Microseconds until the caller stops waiting.
    package var remainingMicros: UInt64
    package var kind: UInt8
    package var lane: UInt8
    package var metadata: ByteBuffer
    /// The (start of the) first message, when the frame carries one.
    package var message: MessageStart?
    /// The client sends nothing more.
    package var endsRequest: Bool

    package init(
        method: UInt32, remainingMicros: UInt64, kind: UInt8, lane: UInt8, metadata: ByteBuffer,
        message: MessageStart?, endsRequest: Bool
    ) {
        self.method = method
        self.remainingMicros = remainingMicros
        self.kind = kind
        self.lane = lane
        self.metadata = metadata
        self.message = message
        self.endsRequest = endsRequest
    }
}

/// The declared length of a whole message and as much of it as the frame holds.
package struct MessageStart: Equatable, Sendable {
    package var length: UInt32
    package var fragment: ByteBuffer

    package init(length: UInt32, fragment: ByteBuffer) {
        self.length = length
        self.fragment = fragment
    }
}

/// MSG: the start of a message (flag MESSAGE, then `length:u32`), or the next fragment of the one under way.
package struct MessageFrame: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        case start(MessageStart)
        case next(ByteBuffer)
    }

    package var content: Content
    package var endsRequest: Bool

    package init(content: Content, endsRequest: Bool) {
        self.content = content
        self.endsRequest = endsRequest
    }

    /// Message bytes in the frame: what credit pays for.
    var fragmentSize: Int {
        switch content {
        case .start(let start): start.fragment.readableBytes
        case .next(let fragment): fragment.readableBytes
        }
    }

    /// What the frame costs of a call's credit (W-55).
    var cost: UInt32 {
        let bytes = UInt32(clamping: fragmentSize)
        if case .start = content { return bytes + WireLimits.streamMessageCost }
        return bytes
    }
}

/// STATUS. Fixed part: `code:u32 processed:u8 reserved:u8 textLength:u16 queued:u32 ran:u32 retryAfter:u32
/// metadataLength:u16 detailsLength:u16 messageLength:u32`.
package struct StatusFrame: Equatable, Sendable {
    static let fixedSize = 28

    package var code: UInt32
    package var processed: WireStatus.Processed
    package var queuedMicros: UInt32
    package var ranMicros: UInt32
    package var retryAfterMillis: UInt32
    var beside: Beside
    /// The whole response, when it fits.
    package var message: ByteBuffer?

    /// What most statuses do without.
    indirect enum Beside: Equatable, Sendable {
        case nothing
        case parts(text: ByteBuffer, metadata: ByteBuffer, details: ByteBuffer)
    }

    package var text: ByteBuffer { if case .parts(let text, _, _) = beside { text } else { ByteBuffer() } }
    package var metadata: ByteBuffer { if case .parts(_, let metadata, _) = beside { metadata } else { ByteBuffer() } }
    package var details: ByteBuffer { if case .parts(_, _, let details) = beside { details } else { ByteBuffer() } }
}

/// DRAIN: `lastCall:u32 graceMillis:u32`, then the reason.
package struct DrainFrame: Equatable, Sendable {
    /// Calls above it are answered "not processed"; 0: all are.
    package var lastCall: UInt32
    package var graceMillis: UInt32
    package var reason: String

    package init(lastCall: UInt32, graceMillis: UInt32, reason: String) {
        self.lastCall = lastCall
        self.graceMillis = graceMillis
        self.reason = reason
    }
}

/// GOODBYE: `code:u16 rule:u16 lastCall:u32`, then the reason.
package struct GoodbyeFrame: Equatable, Sendable {
    package var code: CloseCode
    package var rule: UInt16
    /// The highest call the sender has taken in; calls above it did not run.
    package var lastCall: UInt32
    package var reason: String

    package init(code: CloseCode, rule: UInt16, lastCall: UInt32, reason: String) {
        self.code = code
        self.rule = rule
        self.lastCall = lastCall
        self.reason = reason
    }
}
