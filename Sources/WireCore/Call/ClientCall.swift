package import NIOCore

/// A call to start. Its one message travels whole, and a client's stream begins without one; `deadline` is an instant
/// of the clock that drives the connection.
package struct OutgoingCall: Equatable, Sendable {
    package var method: UInt32
    package var kind: WireCallKind
    package var lane: WireLane
    /// When the caller stops waiting; nil: never.
    package var deadline: WireInstant?
    package var metadata: WireMetadata
    package var body: MessageBody
    /// The longest response the caller takes, bytes; nil: `WireLimits.maxMessageSize`.
    package var responseLimit: UInt32?

    package init(
        method: UInt32, kind: WireCallKind = .unary, lane: WireLane = .routine, deadline: WireInstant? = nil,
        metadata: WireMetadata = WireMetadata(), message: ByteBuffer, responseLimit: UInt32? = nil
    ) {
        self.method = method
        self.kind = kind
        self.lane = lane
        self.deadline = deadline
        self.metadata = metadata
        self.body = .buffer(message)
        self.responseLimit = responseLimit
    }

    /// A call whose message is in an array: it is copied once, into its frame.
    package init(
        method: UInt32, kind: WireCallKind, lane: WireLane, deadline: WireInstant?, metadata: WireMetadata,
        bytes: [UInt8], responseLimit: UInt32?
    ) {
        self.method = method
        self.kind = kind
        self.lane = lane
        self.deadline = deadline
        self.metadata = metadata
        self.body = .bytes(bytes)
        self.responseLimit = responseLimit
    }
}

/// How a call ended, exactly once per call that started.
package struct CallResult: Equatable, Sendable {
    package var status: WireStatus
    /// The one response: there if and only if the status is OK and the server does not stream.
    package var message: MessageBody?
    package var origin: Origin

    package init(status: WireStatus, message: MessageBody? = nil, origin: Origin) {
        self.status = status
        self.message = message
        self.origin = origin
    }

    /// Who said so.
    package enum Origin: Sendable {
        /// The server's STATUS.
        case peer
        /// This side: deadline, cancel, an answer that breaks the rules, the end of the connection.
        case local
    }
}

/// Why a call did not start. Nothing was sent: it may be tried elsewhere.
package enum StartCallError: Error, Equatable, Sendable {
    /// The server's HELLO is not here yet.
    case notEstablished
    /// The connection takes no more calls; open another.
    case draining
    case closed
    /// The server takes no more calls at once; `slotFreed` follows.
    case atCapacity(max: UInt32)
    /// The deadline has passed.
    case deadlineExpired
    /// Longer than any method of the server takes, bytes.
    case messageTooLarge(size: Int, limit: UInt32)
    case metadataTooLarge(size: Int, limit: UInt32)
    /// What is wrong with the metadata.
    case invalidMetadata(String)
}

/// A call that holds one of the server's slots until its STATUS comes.
///
///     waiting -> abandoned -> (STATUS)        waiting -> (STATUS)
struct ClientCall: Sendable {
    let kind: WireCallKind
    /// When its deadline timer is due; entries of `CallTimers` with another time are stale.
    var due: WireInstant?
    let responseLimit: UInt32
    /// The application has its result; only the slot waits for STATUS.
    var isAbandoned = false
}

/// A response on its way in, in MSG frames.
struct IncomingResponse: Sendable {
    var assembly: Assembly
    var window: ReceiveWindow
    /// Bytes it holds of the reassembly budget.
    var reserved: UInt32

    /// Takes the next fragment.
    mutating func append(_ fragment: ByteBuffer) throws(WireViolation) {
        guard !assembly.isWhole else {
            throw .connection(.protocolError, 46, "a fragment without a message under way")
        }
        try window.receive(fragment.readableBytes)
        try assembly.append(fragment)
    }

    /// CREDIT that the sender will need before it can go on.
    mutating func replenish() -> UInt32? {
        assembly.missing > window.available ? window.replenish() : nil
    }
}
