/// A request as a server's handler gets it: whole, checked, answered exactly once.
package struct IncomingCall: Equatable, Sendable {
    package var id: CallID
    package var method: UInt32
    package var kind: WireCallKind
    package var lane: WireLane
    /// When the caller stops waiting; nil: never said.
    package var deadline: WireInstant?
    package var metadata: WireMetadata
    package var message: MessageBody
    /// When its last byte was read.
    package var receivedAt: WireInstant

    package init(
        id: CallID, method: UInt32, kind: WireCallKind = .unary, lane: WireLane = .routine,
        deadline: WireInstant? = nil,
        metadata: WireMetadata = WireMetadata(), message: MessageBody = MessageBody(), receivedAt: WireInstant
    ) {
        self.id = id
        self.method = method
        self.kind = kind
        self.lane = lane
        self.deadline = deadline
        self.metadata = metadata
        self.message = message
        self.receivedAt = receivedAt
    }
}

/// How long a call waited and how long its handler ran, microseconds.
package struct WireTimings: Equatable, Sendable {
    package var queuedMicros: UInt32
    package var ranMicros: UInt32

    package init(queuedMicros: UInt32 = 0, ranMicros: UInt32 = 0) {
        self.queuedMicros = queuedMicros
        self.ranMicros = ranMicros
    }
}

/// A call that a server still owes a STATUS.
///
///     receiving -> running -> sending -> (STATUS)     (every state may end with STATUS at once)
struct ServerCall: Sendable {
    /// When its timer is due; entries of `CallTimers` with another time are stale.
    var due: WireInstant?
    /// What the client lets this side send in MSG frames.
    var window: SendWindow
    var state: State

    enum State: Sendable {
        /// The request is not whole; its bytes are in `ServerConnection.requests`.
        case receiving
        /// The handler owes an answer.
        case running(Stop)
        /// The answer, or what waits of a stream, is being sent; this STATUS follows the last fragment.
        indirect case sending(WireStatus)
    }

    /// Why the handler should stop.
    enum Stop: Sendable {
        case no
        case cancelled
        case expired
    }
}

/// A request on its way in.
struct IncomingRequest: Sendable {
    var call: IncomingCall
    var assembly: Assembly
    var window: ReceiveWindow

    /// Takes a MSG frame: the next fragment, or the start of a message that a unary call does not have.
    mutating func append(_ frame: MessageFrame) throws(WireViolation) {
        switch frame.content {
        case .start:
            guard assembly.isWhole else {
                throw .connection(.protocolError, 46, "a message starts before the one before it is whole")
            }
            throw .call(WireStatusCode.invalidArgument, 26, "a second message in a unary call")
        case .next(let fragment):
            guard !assembly.isWhole else {
                throw .connection(.protocolError, 46, "a fragment without a message under way")
            }
            try window.receive(fragment.readableBytes)
            try assembly.append(fragment)
        }
        guard !frame.endsRequest || assembly.isWhole else { throw MessageStart.endsEarly }
    }

    /// CREDIT that the sender will need before it can go on.
    mutating func replenish() -> UInt32? {
        assembly.missing > window.available ? window.replenish() : nil
    }
}
