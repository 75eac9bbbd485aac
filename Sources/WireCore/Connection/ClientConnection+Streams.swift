package import NIOCore

// Streams of either direction: WIRE.md sections 6 and 11.4.
extension ClientConnection {
    /// Sends the next message of a client's stream.
    package mutating func send(_ id: CallID, message: ByteBuffer) -> SendOutcome {
        let limit = link.peer?.maxMessageSize ?? 0
        guard message.readableBytes <= limit else { return .tooLarge(limit: limit) }
        guard let hasRoom = link.fragments.enqueue(id, message) else { return .ended }
        return hasRoom ? .taken : .full
    }

    /// Ends a client's stream, behind the messages that wait. Does nothing when it has ended.
    package mutating func finishRequest(_ id: CallID) {
        if link.fragments.finish(id) == true { link.output.write { $0.writeEnd(id) } }
    }

    /// The application has taken the oldest message of a server's stream: its credit goes back.
    package mutating func take(_ id: CallID) {
        streams[id]?.take(budget: &link.budget)
        grantStreamCredit(id)
    }

    // MARK: Frames

    /// CALL without a message: a stream's messages follow as the application has them.
    mutating func openStream(_ id: CallID, _ call: OutgoingCall, now: WireInstant) {
        let frame = CallFrame(
            method: call.method, remainingMicros: Self.remaining(call.deadline, now: now), kind: call.kind.rawValue,
            lane: call.lane.rawValue, metadata: call.metadata.encoded, message: nil, endsRequest: false)
        link.output.write { $0.writeCall(id, frame) }
        link.fragments.open(id, endsRequest: true, window: SendWindow(link.peer?.callCredit ?? 0))
    }

    mutating func receiveStream(_ id: CallID, _ frame: MessageFrame, now: WireInstant) throws(WireViolation) {
        do throws(WireViolation) {
            if let message = try streams[id]?.receive(frame, budget: &link.budget) {
                events.append(.message(id, message))
            }
        } catch {
            guard case .call(let code) = error.scope else { throw error }
            abandon(id, code, error.reason, now: now)
        }
        let isWithin = streams[id]?.isWithinMessage ?? false
        if isWithin, frame.fragmentSize < WireLimits.smallFragment { try link.floods.smallFragment(now) }
        grantStreamCredit(id)
    }

    mutating func grantStreamCredit(_ id: CallID) {
        if let credit = streams[id]?.replenish() { link.output.write { $0.writeCredit(id, credit) } }
    }

    /// STATUS came: no message follows. Whether one is cut off by it.
    mutating func endStream(_ id: CallID) -> Bool {
        guard var stream = streams.removeValue(forKey: id) else { return false }
        let isCut = stream.isWithinMessage
        stream.discard(budget: &link.budget)
        return isCut
    }

    /// Whether the server cannot have dispatched the call, for its one message has not gone whole (W-83).
    func holdsRequest(_ id: CallID, _ call: ClientCall) -> Bool {
        !call.kind.clientStreams && link.fragments.holds(id)
    }
}
