import NIOCore

// What each frame does in each state: WIRE.md sections 11.2 and 11.4.
extension ClientConnection {
    mutating func handle(_ frame: consuming Frame, now: WireInstant) throws(WireViolation) {
        switch consume frame {
        case .hello(let hello): try receiveHello(hello)
        case .message(let id, let message): try receiveMessage(id, message, now: now)
        case .status(let id, let status): try receiveStatus(id, status)
        case .credit(let id, let bytes): try receiveCredit(id, bytes, now: now)
        case .ping(let value): try link.receivePing(value, now: now)
        case .pong(let value): events.append(.pong(roundTrip: try link.keepalive.receivePong(value, now: now)))
        case .drain(let drain): try receiveDrain(drain)
        case .goodbye(let goodbye): receiveGoodbye(goodbye)
        case .skipped: try link.floods.unknownFrame(now)
        case .call, .end, .cancel, .drainAck:
            throw .connection(.protocolError, 8, "a server sends neither CALL, END, CANCEL nor DRAIN_ACK")
        }
    }

    private mutating func receiveHello(_ hello: HelloFrame) throws(WireViolation) {
        try link.receiveHello(hello)
        phase.establish()
        events.append(.established(hello))
    }

    private mutating func receiveDrain(_ drain: DrainFrame) throws(WireViolation) {
        switch phase.receiveDrain(lastAccepted: drain.lastCall) {
        case .violation, .close: throw .connection(.protocolError, 101, "a second DRAIN")
        case .announce: events.append(.draining(reason: drain.reason))
        case .continueDraining, .ignore: break
        }
        let last = lastStarted
        link.output.write { $0.writeDrainAck(last) }
    }

    private mutating func receiveGoodbye(_ goodbye: GoodbyeFrame) {
        let closure = WireClosure(
            origin: .remote, code: goodbye.code, rule: goodbye.rule, reason: goodbye.reason)
        terminate(closure, lastAccepted: min(goodbye.lastCall, phase.lastAccepted ?? .max))
    }

    private mutating func receiveCredit(_ id: CallID?, _ bytes: UInt32, now: WireInstant) throws(WireViolation) {
        try link.countCredit(bytes, now: now)
        guard let id else { return try link.receiveConnectionCredit(bytes) }
        guard id.rawValue <= lastStarted else { throw Self.neverStarted(id) }
        guard calls.contains(id) else { return try link.floods.lateFrame(now) }
        try link.fragments.grant(id, bytes)
    }

    /// A server ends a call with STATUS: whatever comes for the call after it is a fault, not lateness (W-86).
    private mutating func findCall(_ id: CallID) throws(WireViolation) -> ClientCall {
        guard id.rawValue <= lastStarted else { throw Self.neverStarted(id) }
        guard let call = calls[id] else {
            throw .connection(.protocolError, 86, "a frame for call \(id) after its STATUS")
        }
        return call
    }

    private static func neverStarted(_ id: CallID) -> WireViolation {
        .connection(.protocolError, 29, "a frame for call \(id), which never started")
    }

    // MARK: MSG

    private mutating func receiveMessage(
        _ id: CallID, _ frame: MessageFrame, now: WireInstant
    ) throws(WireViolation) {
        guard !frame.endsRequest else { throw .connection(.protocolError, 4, "END in a MSG of a server") }
        try link.receiveMessageBytes(frame.fragmentSize)
        let call = try findCall(id)
        guard !streams.contains(id) else { return try receiveStream(id, frame, now: now) }
        switch frame.content {
        case .start(let start): try receiveStart(id, start, call, now: now)
        case .next(let fragment): try receiveFragment(id, fragment, now: now)
        }
        if let credit = responses[id]?.replenish() { link.output.write { $0.writeCredit(id, credit) } }
    }

    private mutating func receiveStart(
        _ id: CallID, _ start: MessageStart, _ call: ClientCall, now: WireInstant
    ) throws(WireViolation) {
        guard !responses.contains(id) else { return try receiveSecondStart(id, now: now) }
        let isKept = !call.isAbandoned && accepts(id, start, call, now: now)
        var response = IncomingResponse(
            assembly: Assembly(start, discards: !isKept), window: ReceiveWindow(link.limits.callCredit),
            reserved: isKept ? start.length : 0)
        try response.window.receive(start.fragment.readableBytes)
        responses[id] = response
        try countSmall(response.assembly, start.fragment, now: now)
    }

    /// Whether there is room for the message; if not, the call ends here and its bytes are dropped as they come.
    private mutating func accepts(_ id: CallID, _ start: MessageStart, _ call: ClientCall, now: WireInstant) -> Bool {
        guard start.length <= call.responseLimit else {
            abandon(id, WireStatusCode.resourceExhausted, Self.tooLong(start.length, call), now: now)
            return false
        }
        guard link.budget.reserve(start.length) else {
            abandon(id, WireStatusCode.resourceExhausted, "too many large responses under way", now: now)
            return false
        }
        return true
    }

    private mutating func receiveSecondStart(_ id: CallID, now: WireInstant) throws(WireViolation) {
        guard responses[id]?.assembly.isWhole ?? true else {
            throw .connection(.protocolError, 46, "a message starts before the one before it is whole")
        }
        throw .connection(.protocolError, 26, "a second message in a unary call")
    }

    private mutating func receiveFragment(_ id: CallID, _ fragment: ByteBuffer, now: WireInstant) throws(WireViolation)
    {
        guard responses.contains(id) else {
            throw .connection(.protocolError, 46, "a fragment without a message under way")
        }
        try responses[id]?.append(fragment)
        if let assembly = responses[id]?.assembly { try countSmall(assembly, fragment, now: now) }
    }

    private mutating func countSmall(
        _ assembly: Assembly, _ fragment: ByteBuffer, now: WireInstant
    ) throws(WireViolation) {
        if !assembly.isWhole, fragment.readableBytes < WireLimits.smallFragment { try link.floods.smallFragment(now) }
    }

    // MARK: STATUS

    private mutating func receiveStatus(_ id: CallID, _ frame: StatusFrame) throws(WireViolation) {
        let call = try findCall(id)
        let response = takeResponse(id)
        let isCut = endStream(id)
        link.fragments.drop(id)
        if !call.isAbandoned { events.append(.ended(id, result(of: call, frame, response, isCut: isCut))) }
        freeSlot(id)
        closeIfDrained()
    }

    private mutating func takeResponse(_ id: CallID) -> IncomingResponse? {
        guard let response = responses.removeValue(forKey: id) else { return nil }
        link.budget.release(response.reserved)
        return response
    }

    private mutating func result(
        of call: ClientCall, _ frame: StatusFrame, _ response: IncomingResponse?, isCut: Bool
    ) -> CallResult {
        var status = WireStatus(frame)
        do throws(WireViolation) {
            if case .parts(_, let metadata, _) = frame.beside {
                status.metadata = try WireMetadata(validating: metadata, maxSize: link.limits.maxMetadataSize)
            }
            guard status.isOK else { return CallResult(status: status, origin: .peer) }
            guard !call.kind.serverStreams else {
                try Self.checkEnd(frame, isCut: isCut)
                return CallResult(status: status, origin: .peer)
            }
            let message = try Self.message(of: call, frame, response)
            return CallResult(status: status, message: message, origin: .peer)
        } catch {
            return CallResult(status: status.replaced(by: error), origin: .local)
        }
    }

    /// The one message of an OK, from STATUS or from the MSG frames before it.
    private static func message(
        of call: ClientCall, _ frame: StatusFrame, _ response: IncomingResponse?
    ) throws(WireViolation) -> MessageBody {
        guard let message = frame.message else {
            guard let assembly = response?.assembly, assembly.isWhole else {
                throw .call(WireStatusCode.internal, 87, "OK without a whole message")
            }
            return assembly.body
        }
        guard response == nil else { throw .call(WireStatusCode.internal, 26, "a second message in a unary call") }
        guard message.readableBytes <= call.responseLimit else {
            throw .call(WireStatusCode.resourceExhausted, 40, tooLong(UInt32(clamping: message.readableBytes), call))
        }
        return .buffer(message)
    }

    /// An OK that ends a stream brings no message and cuts none off.
    private static func checkEnd(_ frame: StatusFrame, isCut: Bool) throws(WireViolation) {
        guard frame.message == nil else {
            throw .call(WireStatusCode.internal, 26, "a message in the STATUS of a stream")
        }
        guard !isCut else { throw .call(WireStatusCode.internal, 87, "OK within a message") }
    }

    private static func tooLong(_ length: UInt32, _ call: ClientCall) -> String {
        "a response of \(length) bytes, the limit is \(call.responseLimit)"
    }

    // MARK: Abandoning

    /// Ends a call for the application; its slot stays taken until STATUS (W-75).
    mutating func abandon(_ id: CallID, _ code: UInt32, _ reason: String, now: WireInstant) {
        guard let call = calls[id], !call.isAbandoned else { return }
        calls[id]?.isAbandoned = true
        calls[id]?.due = nil
        let processed: WireStatus.Processed = holdsRequest(id, call) ? .no : .maybe
        link.fragments.drop(id)
        discardResponse(id)
        streams[id]?.discard(budget: &link.budget)
        let tolerated = link.limits.floods.cancels / 2
        if cancels.admit(now, window: link.limits.floods.window, limit: tolerated) {
            link.output.write { $0.writeCancel(id) }
        }
        // A server that sends on, for no CANCEL went out or it answers all the same, must not wait for credit (W-78).
        grantStreamCredit(id)
        let status = WireStatus(code: code, message: reason, processed: processed)
        events.append(.ended(id, CallResult(status: status, origin: .local)))
    }

    private mutating func discardResponse(_ id: CallID) {
        guard var response = responses.removeValue(forKey: id) else { return }
        link.budget.release(response.reserved)
        response.reserved = 0
        response.assembly = response.assembly.discarding()
        responses[id] = response
    }
}

extension WireStatus {
    /// A received STATUS; its metadata is still to be checked.
    fileprivate init(_ frame: StatusFrame) {
        self.init(ok: WireTimings(queuedMicros: frame.queuedMicros, ranMicros: frame.ranMicros))
        code = frame.code <= WireStatusCode.unauthenticated ? frame.code : WireStatusCode.unknown
        processed = frame.processed
        retryAfterMillis = frame.retryAfterMillis
        guard case .parts(let text, _, let details) = frame.beside else { return }
        message = String(buffer: text)
        self.details = details
    }

    /// The status of a call whose answer broke a rule: what the server said of the work stays.
    fileprivate func replaced(by violation: WireViolation) -> WireStatus {
        var code = WireStatusCode.internal
        if case .call(WireStatusCode.resourceExhausted) = violation.scope { code = WireStatusCode.resourceExhausted }
        return WireStatus(
            code: code, message: "the answer: \(violation.reason)", processed: processed, queuedMicros: queuedMicros,
            ranMicros: ranMicros)
    }
}
