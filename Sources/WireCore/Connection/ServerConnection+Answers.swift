import NIOCore

// One STATUS per call: from the handler, or from here when there is no handler to ask.
extension ServerConnection {
    /// Answers with `message` and OK. False when the call is gone: nobody is left to tell.
    @discardableResult
    package mutating func succeed(
        _ id: CallID, message: [UInt8], with timings: WireTimings = WireTimings(), metadata: WireMetadata? = nil
    ) -> Bool {
        succeed(id, message: .bytes(message), with: timings, metadata: metadata)
    }

    /// The same for a message that is held in whatever form.
    @discardableResult
    package mutating func succeed(
        _ id: CallID, message body: MessageBody, with timings: WireTimings = WireTimings(), metadata: WireMetadata? = nil
    ) -> Bool {
        guard let stop = stop(of: id) else { return false }
        if stop == .no, metadata?.isEmpty ?? true, fitsStatus(body.count) { return answer(id, timings, body) }
        var status = WireStatus(ok: timings)
        if let metadata { status.metadata = metadata }
        switch stop {
        case .expired: finish(id, Self.expired(status))
        case .cancelled: finish(id, Self.replaced(status, WireStatusCode.cancelled, "cancelled; it ran to its end"))
        case .no: send(id, status, body)
        }
        return true
    }

    /// Answers with an error. False when the call is gone. A `status` that says OK goes out as INTERNAL: an OK
    /// without message is a fault of the caller's.
    @discardableResult
    package mutating func fail(_ id: CallID, with status: WireStatus) -> Bool {
        guard let stop = stop(of: id) else { return false }
        var status = status
        if status.isOK { status.code = WireStatusCode.internal }
        if fault(in: status.metadata) != nil { status.metadata = WireMetadata() }
        if stop == .expired { status = Self.expired(status) }
        finishStream(id, status)
        return true
    }

    /// Ends a server's stream with OK, behind the messages that wait. False when the call is gone.
    @discardableResult
    package mutating func finish(
        _ id: CallID, with timings: WireTimings = WireTimings(), metadata: WireMetadata = WireMetadata()
    ) -> Bool {
        guard let stop = stop(of: id) else { return false }
        let status = WireStatus(
            code: WireStatusCode.ok, processed: .yes, queuedMicros: timings.queuedMicros, ranMicros: timings.ranMicros,
            metadata: metadata)
        switch stop {
        case .expired: finish(id, Self.expired(status))
        case .cancelled: finish(id, Self.replaced(status, WireStatusCode.cancelled, "cancelled; it ran to its end"))
        case .no: finishStream(id, status)
        }
        return true
    }

    /// An answer of one frame and nothing beside it: what nearly all answers are.
    private mutating func answer(_ id: CallID, _ timings: WireTimings, _ body: MessageBody) -> Bool {
        forget(id)
        link.output.write { $0.writeAnswer(id, timings, body) }
        closeIfDrained()
        return true
    }

    private mutating func fitsStatus(_ size: Int) -> Bool {
        StatusFrame.fixedSize + size <= link.peerFrameSize && faultOfSize(size) == nil
    }

    /// Whether the handler owes an answer, and whether it was asked to stop.
    private mutating func stop(of id: CallID) -> ServerCall.Stop? {
        guard case .running(let stop)? = calls[id]?.state else { return nil }
        return stop
    }

    private mutating func send(_ id: CallID, _ status: WireStatus, _ body: MessageBody) {
        if let fault = fault(in: status.metadata) ?? faultOfSize(body.count) {
            return finish(id, Self.replaced(status, fault.code, fault.reason))
        }
        let size = StatusFrame.fixedSize + status.metadata.byteCount + body.count
        guard size > link.peerFrameSize else { return finish(id, status, body) }
        guard link.fragments.waiting + body.count <= Int(link.limits.maxUnsent) else {
            let text = "\(link.fragments.waiting) bytes of answers wait to be sent already"
            return finish(id, Self.replaced(status, WireStatusCode.resourceExhausted, text))
        }
        guard let window = calls[id]?.window else { return }
        calls[id]?.state = .sending(status)
        stopReceiving(id)
        link.fragments.add(id, body, sent: nil, endsRequest: false, window: window)
    }

    private func fault(in metadata: WireMetadata) -> (code: UInt32, reason: String)? {
        guard !metadata.isEmpty else { return nil }
        do throws(WireViolation) {
            try metadata.validate(maxSize: link.peer?.maxMetadataSize ?? 0)
            return nil
        } catch {
            return (WireStatusCode.internal, "the answer's \(error.reason)")
        }
    }

    private func faultOfSize(_ size: Int) -> (code: UInt32, reason: String)? {
        let limit = link.peer?.maxMessageSize ?? 0
        guard size > limit else { return nil }
        return (WireStatusCode.resourceExhausted, "a response of \(size) bytes, the client's limit is \(limit)")
    }
}

// MARK: Ends of a call

extension ServerConnection {
    /// The last fragment has gone: its STATUS follows.
    mutating func finishSending(_ id: CallID) {
        guard case .sending(let status)? = calls[id]?.state else { return }
        finish(id, status)
    }

    /// What is left of an answer is not wanted any more.
    mutating func stopSending(_ id: CallID, _ status: WireStatus, _ code: UInt32) {
        link.fragments.drop(id)
        finish(id, Self.replaced(status, code, "ended while the response was being sent"))
    }

    /// A call's timer is due.
    mutating func expire(_ id: CallID) {
        switch calls[id]?.state {
        case .receiving: refuse(id, WireStatusCode.deadlineExceeded, "the request was not whole in time")
        case .running(let stop):
            calls[id]?.state = .running(.expired)
            calls[id]?.due = nil
            stopStreams(id)
            if stop == .no { events.append(.expired(id)) }
        case .sending(let status): stopSending(id, status, WireStatusCode.deadlineExceeded)
        case nil: break
        }
    }

    /// Ends a call whose request broke a rule; a broken rule of the connection goes on to the caller.
    mutating func end(_ id: CallID, for violation: WireViolation, now: WireInstant) throws(WireViolation) {
        guard case .call(let code) = violation.scope else { throw violation }
        if case .running? = calls[id]?.state {
            abort(id, code, violation.reason)
        } else {
            refuse(id, code, violation.reason)
        }
        if violation.isProvoked { try link.floods.provokedError(now) }
    }

    /// Ends a call that no handler has seen.
    mutating func refuse(_ id: CallID, _ code: UInt32, _ reason: String) {
        if let request = takeRequest(id) { link.floods.expectLate(request.window.available) }
        finish(id, WireStatus(code: code, message: reason, processed: .no))
    }

    /// Refuses a call until there is room for its answer, which those that run already are to find (W-134).
    mutating func postpone(_ id: CallID) {
        let text = "\(link.fragments.waiting) bytes of answers wait to be sent"
        let status = WireStatus(code: WireStatusCode.resourceExhausted, message: text, processed: .no, retryAfterMillis: 100)
        finish(id, status)
    }

    /// The request under way, whose share of the reassembly budget becomes free.
    mutating func takeRequest(_ id: CallID) -> IncomingRequest? {
        guard let request = requests.removeValue(forKey: id) else { return nil }
        link.budget.release(request.assembly.length)
        return request
    }

    /// Ends a call whose handler runs: it owes no answer any more.
    private mutating func abort(_ id: CallID, _ code: UInt32, _ reason: String) {
        events.append(.aborted(id))
        finish(id, WireStatus(code: code, message: reason, processed: .maybe))
    }

    /// STATUS, behind the messages of a stream that wait.
    private mutating func finishStream(_ id: CallID, _ status: WireStatus) {
        if let fault = fault(in: status.metadata) {
            return finish(id, Self.replaced(status, fault.code, fault.reason))
        }
        guard link.fragments.finish(id) == false else { return finish(id, status) }
        calls[id]?.state = .sending(status)
        stopReceiving(id)
    }

    /// The one place that writes STATUS and frees the call's slot.
    private mutating func finish(_ id: CallID, _ status: WireStatus, _ body: MessageBody? = nil) {
        forget(id)
        link.output.write { $0.writeStatus(id, status, body: body) }
        closeIfDrained()
    }

    /// Frees the call's slot.
    private mutating func forget(_ id: CallID) {
        calls.removeValue(forKey: id)
        if calls.isEmpty { timers.removeAll() }
        if let stream = streams.removeValue(forKey: id) { forget(stream) }
        link.fragments.drop(id)
    }

    /// The client may not have ended its stream, nor know yet that nobody takes it any more.
    private mutating func forget(_ ended: IncomingStream) {
        var stream = ended
        stream.discard(budget: &link.budget)
        if let credit = stream.unusedCredit { link.floods.expectLate(credit) }
    }

    mutating func closeIfDrained() {
        guard phase.awaitsLastCall, calls.isEmpty else { return }
        closeSayingGoodbye(WireClosure(origin: .local, code: .none, reason: "drained"))
    }

    private static func expired(_ status: WireStatus) -> WireStatus {
        replaced(status, WireStatusCode.deadlineExceeded, "the deadline passed while the handler ran")
    }

    /// Another code for the same work: times and `processed` stay.
    private static func replaced(_ status: WireStatus, _ code: UInt32, _ reason: String) -> WireStatus {
        WireStatus(
            code: code, message: reason, processed: status.processed, queuedMicros: status.queuedMicros,
            ranMicros: status.ranMicros)
    }
}

extension WireViolation {
    /// Whether only a faulty client causes it: it knows these limits, so no user of its can make it break them (W-127).
    var isProvoked: Bool {
        switch rule {
        case 22...26, 60...65: true
        default: false
        }
    }
}
