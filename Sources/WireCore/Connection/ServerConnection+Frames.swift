import NIOCore

// What each frame does in each state: WIRE.md sections 11.1 and 11.3.
extension ServerConnection {
    mutating func handle(_ frame: consuming Frame, now: WireInstant) throws(WireViolation) {
        switch consume frame {
        case .hello(let hello): try receiveHello(hello)
        case .call(let id, let call): try receiveCall(id, call, now: now)
        case .message(let id, let message): try receiveMessage(id, message, now: now)
        case .end(let id): try receiveEnd(id, now: now)
        case .cancel(let id): try receiveCancel(id, now: now)
        case .credit(let id, let bytes): try receiveCredit(id, bytes, now: now)
        case .ping(let value): try link.receivePing(value, now: now)
        case .pong(let value): events.append(.pong(roundTrip: try link.keepalive.receivePong(value, now: now)))
        case .drainAck(let last): try receiveDrainAck(last)
        case .goodbye(let goodbye): receiveGoodbye(goodbye)
        case .skipped: try link.floods.unknownFrame(now)
        case .status, .drain: throw .connection(.protocolError, 8, "a client sends neither STATUS nor DRAIN")
        }
    }

    private mutating func receiveHello(_ hello: HelloFrame) throws(WireViolation) {
        try link.receiveHello(hello)
        phase.establish()
        events.append(.established(hello))
    }

    private mutating func receiveGoodbye(_ goodbye: GoodbyeFrame) {
        terminate(
            WireClosure(origin: .remote, code: goodbye.code, rule: goodbye.rule, reason: goodbye.reason))
    }

    private mutating func receiveDrainAck(_ last: UInt32) throws(WireViolation) {
        guard phase.acknowledge() else {
            throw .connection(.protocolError, 102, "a DRAIN_ACK that answers no DRAIN")
        }
        guard last == highestCall else {
            throw .connection(.protocolError, 103, "DRAIN_ACK names call \(last), the last one was \(highestCall)")
        }
        events.append(.drainAcknowledged(last: last == 0 ? nil : CallID(rawValue: last)))
        closeIfDrained()
    }

    // MARK: CALL

    private mutating func receiveCall(_ id: CallID, _ frame: CallFrame, now: WireInstant) throws(WireViolation) {
        guard id.rawValue > highestCall else {
            throw .connection(.protocolError, 20, "call id \(id) after \(highestCall)")
        }
        highestCall = id.rawValue
        switch phase.receiveCall(id) {
        case .accept: try open(id, frame, now: now)
        case .refuse:
            expectRest(of: frame)
            refuse(id, WireStatusCode.unavailable, "the server is draining")
        case .violation: throw .connection(.protocolError, 105, "a CALL after DRAIN_ACK")
        }
        if id >= .drainThreshold { drain("call ids run out", now: now) }
    }

    private mutating func open(_ id: CallID, _ frame: CallFrame, now: WireInstant) throws(WireViolation) {
        guard link.fragments.waiting <= Int(link.limits.unsentHighWater) else {
            expectRest(of: frame)
            return postpone(id)
        }
        do throws(WireViolation) {
            let call = try admit(id, frame, now: now)
            try accept(call, frame, now: now)
        } catch {
            expectRest(of: frame)
            try end(id, for: error, now: now)
        }
    }

    /// The call ends with its CALL: as much more as its credit allows may be under way.
    private mutating func expectRest(of frame: CallFrame) {
        if !frame.endsRequest { link.floods.expectLate(link.limits.callCredit) }
    }

    /// Checks all of a CALL but its message.
    private mutating func admit(_ id: CallID, _ frame: CallFrame, now: WireInstant) throws(WireViolation) -> IncomingCall {
        guard calls.count < link.limits.maxConcurrentCalls else {
            throw .call(WireStatusCode.resourceExhausted, 22, "more than \(link.limits.maxConcurrentCalls) open calls")
        }
        guard let kind = WireCallKind(rawValue: frame.kind) else {
            throw .call(WireStatusCode.invalidArgument, 23, "call kind \(frame.kind) is unknown")
        }
        guard let lane = WireLane(rawValue: frame.lane) else {
            throw .call(WireStatusCode.invalidArgument, 24, "lane \(frame.lane) is unknown")
        }
        guard kind == .unary || acceptsStreams else {
            throw .call(WireStatusCode.unimplemented, 31, "this server has no streaming calls")
        }
        let metadata = try WireMetadata(validating: frame.metadata, maxSize: link.limits.maxMetadataSize)
        guard frame.remainingMicros > 0 else {
            throw .call(WireStatusCode.deadlineExceeded, 71, "the deadline had passed on arrival")
        }
        return IncomingCall(
            id: id, method: frame.method, kind: kind, lane: lane,
            deadline: Self.deadline(frame.remainingMicros, now: now), metadata: metadata,
            message: Self.wholeMessage(frame, kind) ?? MessageBody(), receivedAt: now)
    }

    /// The one message of a call that is here with it.
    private static func wholeMessage(_ frame: CallFrame, _ kind: WireCallKind) -> MessageBody? {
        frame.endsRequest && !kind.clientStreams ? frame.message.map { .buffer($0.fragment) } : nil
    }

    private static func deadline(_ remaining: UInt64, now: WireInstant) -> WireInstant? {
        remaining == CallFrame.noDeadline ? nil : now.advanced(by: .microseconds(remaining))
    }

    private mutating func accept(
        _ call: IncomingCall, _ frame: CallFrame, now: WireInstant
    ) throws(WireViolation) {
        if call.kind.clientStreams { try acceptStream(call, frame) } else { try acceptOne(call, frame, now: now) }
    }

    private func messageLimit(_ call: IncomingCall) -> UInt32 {
        min(requestLimits[call.method] ?? .max, link.limits.maxMessageSize)
    }

    /// Hands the call over if its one message is whole, else begins to collect it.
    private mutating func acceptOne(
        _ call: IncomingCall, _ frame: CallFrame, now: WireInstant
    ) throws(WireViolation) {
        guard let message = frame.message else {
            throw .call(WireStatusCode.invalidArgument, 25, "a CALL without its one message")
        }
        let limit = messageLimit(call)
        guard message.length <= limit else {
            throw .call(
                WireStatusCode.resourceExhausted, 40, "a request of \(message.length) bytes, the limit is \(limit)")
        }
        if frame.endsRequest { return dispatch(call) }
        guard link.budget.reserve(message.length) else {
            throw .call(WireStatusCode.resourceExhausted, 44, "too many large requests under way")
        }
        var request = IncomingRequest(
            call: call, assembly: Assembly(message), window: ReceiveWindow(link.limits.callCredit))
        grantCredit(call.id, &request)
        requests[call.id] = request
        let patience = now.advanced(by: link.limits.messageTimeout)
        add(call.id, due: call.deadline.map { min($0, patience) } ?? patience, .receiving)
    }

    /// Hands over a call that is not in `calls` yet.
    mutating func dispatch(_ call: IncomingCall) {
        add(call.id, due: call.deadline, .running(.no))
        announce(call)
    }

    private mutating func announce(_ call: IncomingCall) {
        if call.kind.serverStreams, let window = calls[call.id]?.window {
            link.fragments.open(call.id, endsRequest: false, window: window)
        }
        events.append(.call(call))
    }

    private mutating func add(_ id: CallID, due: WireInstant?, _ state: ServerCall.State) {
        calls.add(ServerCall(due: due, window: SendWindow(link.peer?.callCredit ?? 0), state: state), at: id)
        if let due { addTimer(id, due) }
    }

    mutating func addTimer(_ id: CallID, _ due: WireInstant) {
        let live = calls
        timers.add(id, due: due, live: live.count) { live[$0.call]?.due == $0.due }
    }

    /// Timers of calls that have ended are dropped here, not with each call.
    mutating func pruneTimers() {
        let live = calls
        timers.prune { live[$0.call]?.due == $0.due }
    }

    // MARK: MSG, END

    private mutating func receiveMessage(
        _ id: CallID, _ frame: MessageFrame, now: WireInstant
    ) throws(WireViolation) {
        try link.receiveMessageBytes(frame.fragmentSize)
        guard try isOpen(id, cost: frame.cost, now: now) else { return }
        guard !streams.contains(id) else { return try receiveStream(id, frame, now: now) }
        guard requests.contains(id) else { throw .connection(.protocolError, 28, "a MSG after END") }
        do throws(WireViolation) {
            try requests[id]?.append(frame)
        } catch {
            return try end(id, for: error, now: now)
        }
        try continueRequest(id, frame, now: now)
    }

    private mutating func continueRequest(
        _ id: CallID, _ frame: MessageFrame, now: WireInstant
    ) throws(WireViolation) {
        if frame.endsRequest { return complete(id, now: now) }
        let isWhole = requests[id]?.assembly.isWhole ?? true
        if !isWhole, frame.fragmentSize < WireLimits.smallFragment { try link.floods.smallFragment(now) }
        if let credit = requests[id]?.replenish() { link.output.write { $0.writeCredit(id, credit) } }
    }

    /// CREDIT for a request that is longer than what its window lets through.
    private mutating func grantCredit(_ id: CallID, _ request: inout IncomingRequest) {
        if let credit = request.replenish() { link.output.write { $0.writeCredit(id, credit) } }
    }

    private mutating func receiveEnd(_ id: CallID, now: WireInstant) throws(WireViolation) {
        guard try isOpen(id, cost: WireLimits.streamMessageCost, now: now) else { return }
        guard !streams.contains(id) else { return try endStream(id) }
        guard let request = requests[id] else { throw .connection(.protocolError, 28, "a second END") }
        guard request.assembly.isWhole else { throw MessageStart.endsEarly }
        complete(id, now: now)
    }

    private mutating func complete(_ id: CallID, now: WireInstant) {
        guard let request = takeRequest(id) else { return }
        var call = request.call
        call.receivedAt = now
        call.message = request.assembly.body
        calls[id]?.due = call.deadline
        calls[id]?.state = .running(.no)
        if let due = call.deadline { addTimer(id, due) }
        announce(call)
    }

    // MARK: CANCEL, CREDIT

    private mutating func receiveCancel(_ id: CallID, now: WireInstant) throws(WireViolation) {
        try link.floods.cancel(now)
        guard id.rawValue <= highestCall else { throw Self.neverStarted(id) }
        switch calls[id]?.state {
        case .receiving: refuse(id, WireStatusCode.cancelled, "cancelled before the request was whole")
        case .running(.no):
            calls[id]?.state = .running(.cancelled)
            stopStreams(id)
            events.append(.cancelled(id))
        case .sending(let status): stopSending(id, status, WireStatusCode.cancelled)
        case .running(.cancelled), .running(.expired), nil: break
        }
    }

    private mutating func receiveCredit(_ id: CallID?, _ bytes: UInt32, now: WireInstant) throws(WireViolation) {
        try link.countCredit(bytes, now: now)
        guard let id else { return try link.receiveConnectionCredit(bytes) }
        guard try isOpen(id, cost: nil, now: now) else { return }
        if link.fragments.holds(id) {
            try link.fragments.grant(id, bytes)
        } else {
            try calls[id]?.window.grant(bytes)
        }
    }

    /// Whether a frame's call is open; a frame of an ended call is late, not wrong (W-30).
    private mutating func isOpen(_ id: CallID, cost: UInt32?, now: WireInstant) throws(WireViolation) -> Bool {
        guard id.rawValue <= highestCall else { throw Self.neverStarted(id) }
        if calls.contains(id) { return true }
        try link.floods.lateFrame(now, cost: cost)
        return false
    }

    private static func neverStarted(_ id: CallID) -> WireViolation {
        .connection(.protocolError, 29, "a frame for call \(id), which never started")
    }
}
