package import NIOCore

/// What became of a message that was given to a stream.
package enum SendOutcome: Equatable, Sendable {
    /// Taken; there is room for more.
    case taken
    /// Taken, and the last for now: `writable` follows when there is room, unless the call ends before.
    case full
    /// Not taken: the call has ended, or its stream has.
    case ended
    /// Not taken: the peer takes no messages beyond `limit` bytes.
    case tooLarge(limit: UInt32)
}

// Streams of either direction: WIRE.md sections 6 and 11.3.
extension ServerConnection {
    /// Sends the next message of a server's stream.
    package mutating func send(_ id: CallID, message: ByteBuffer) -> SendOutcome {
        let limit = link.peer?.maxMessageSize ?? 0
        guard message.readableBytes <= limit else { return .tooLarge(limit: limit) }
        guard let hasRoom = link.fragments.enqueue(id, message) else { return .ended }
        return hasRoom ? .taken : .full
    }

    /// The application has taken the oldest message of a client's stream: its credit goes back.
    package mutating func take(_ id: CallID) {
        streams[id]?.take(budget: &link.budget)
        grantStreamCredit(id)
    }

    // MARK: Frames

    /// Dispatches a call whose client streams, with the message that CALL may begin with.
    mutating func acceptStream(_ call: IncomingCall, _ frame: CallFrame) throws(WireViolation) {
        let limit = min(requestLimits[call.method] ?? .max, link.limits.maxMessageSize)
        var stream = IncomingStream(limit: limit, window: link.limits.callCredit)
        var message: MessageBody?
        if let start = frame.message { message = try stream.begin(start, budget: &link.budget) }
        if frame.endsRequest { try stream.end() }
        streams[call.id] = stream
        dispatch(call)
        if let message { events.append(.message(call.id, message)) }
        if frame.endsRequest { events.append(.requestEnded(call.id)) }
        grantStreamCredit(call.id)
    }

    mutating func receiveStream(
        _ id: CallID, _ frame: MessageFrame, now: WireInstant
    ) throws(WireViolation) {
        do throws(WireViolation) {
            if let message = try streams[id]?.receive(frame, budget: &link.budget) {
                events.append(.message(id, message))
            }
        } catch {
            return try end(id, for: error, now: now)
        }
        if frame.endsRequest { return try endStream(id) }
        let isWithin = streams[id]?.isWithinMessage ?? false
        if isWithin, frame.fragmentSize < WireLimits.smallFragment { try link.floods.smallFragment(now) }
        grantStreamCredit(id)
    }

    mutating func endStream(_ id: CallID) throws(WireViolation) {
        try streams[id]?.end()
        if streams[id]?.discards == false { events.append(.requestEnded(id)) }
    }

    private mutating func grantStreamCredit(_ id: CallID) {
        if let credit = streams[id]?.replenish() { link.output.write { $0.writeCredit(id, credit) } }
    }

    /// The handler was told to stop: nobody reads or writes the call's streams any more.
    mutating func stopStreams(_ id: CallID) {
        stopReceiving(id)
        link.fragments.drop(id)
        // What the client credits from now on is for nothing; its first credit is spent, at least in part.
        calls[id]?.window = SendWindow(0)
    }

    /// The handler has answered, or is to stop: what still comes of the client's stream is dropped.
    mutating func stopReceiving(_ id: CallID) {
        streams[id]?.discard(budget: &link.budget)
        grantStreamCredit(id)
    }
}
