package import NIOCore

/// The client's end of a connection, without sockets, clocks or tasks: bytes and time in, bytes and events out.
///
/// After every mutating call pull `nextEvent()` until nil, then `takeOutbound()` while the transport takes bytes.
/// Instants must not run backwards. Every call that starts ends with exactly one `.ended`, whatever the server or the
/// transport does. Much is `mutating` for the reason given at `ServerConnection`.
package struct ClientConnection: ~Copyable, Sendable {
    var link: Link
    var phase = ClientPhase.handshaking(ClientPhase.Handshaking())
    /// Every call whose STATUS has not come: each holds one of the server's slots.
    var calls = CallTable<ClientCall>()
    /// The responses among them that come in MSG frames.
    var responses = CallTable<IncomingResponse>()
    /// What comes for the calls whose server streams.
    var streams = CallTable<IncomingStream>()
    var timers = CallTimers()
    var life: Lifetime
    var events = CircularBuffer<Event>()
    private var nextCall: UInt32
    /// `startCall` has thrown `atCapacity`: somebody waits for a slot.
    private var owesSlotFreed = false
    /// CANCELs sent, kept under half of what the server tolerates; beyond it the server's own deadline does.
    var cancels = FloodMeter()

    package enum Event: Equatable, Sendable {
        /// The server's HELLO: calls may start.
        case established(HelloFrame)
        /// The next message of a server's stream. The driver owes a `take` once the application has it.
        case message(CallID, MessageBody)
        /// The stream has room for messages again, after `SendOutcome.full`.
        case writable(CallID)
        /// Exactly once for each call that started; nothing follows for the call.
        case ended(CallID, CallResult)
        /// There is room again after `StartCallError.atCapacity`.
        case slotFreed
        /// Start no more calls here; open another connection.
        case draining(reason: String)
        /// There was no call for long: the connection ends. Open another when there is one.
        case idle
        case pong(roundTrip: WireDuration)
        /// Always the last event, exactly once: flush `takeOutbound()`, then close the transport.
        case closed(WireClosure)
    }

    /// HELLO is in the outbound bytes at once.
    ///
    /// - Throws: a limit out of its bounds, or a service name that HELLO cannot carry.
    package init(
        limits: WireLimits = .defaults(), fingerprints: [ServiceFingerprint] = [],
        firstCallID: CallID = CallID(rawValue: 1), now: WireInstant
    ) throws(WireLimitsError) {
        link = try Link(role: .client, limits: limits, fingerprints: fingerprints, now: now)
        life = Lifetime(limits, now: now)
        nextCall = max(firstCallID.rawValue, 1)
    }

    /// The phase says so too; this can be read without it.
    package private(set) var isClosed = false
    /// The type of the last frame that came, as WIRE.md names it; nil before the first.
    package var lastFrame: String? { link.lastFrame }
    /// A client never stops reading (W-133).
    package var isCongested: Bool { false }
    /// Slots taken, those of abandoned calls included.
    package var openCallCount: Int { calls.count }
    /// Whether `startCall` has a chance now.
    package var canStartCall: Bool {
        phase.isOpen && calls.count < maxCalls && nextCall < CallID.drainThreshold.rawValue
    }

    /// The highest id that was started; 0: none.
    private(set) var lastStarted: UInt32 = 0
    private var maxCalls: Int { Int(link.peer?.maxConcurrentCalls ?? 0) }

    package mutating func nextEvent() -> Event? {
        events.popFirst()
    }

    // MARK: Bytes

    package mutating func receive(_ bytes: ByteBuffer, now: WireInstant) {
        guard !isClosed else { return }
        link.beginRead(bytes, now: now)
        do throws(WireViolation) {
            while !isClosed, let frame = try link.nextFrame() { try handle(frame, now: now) }
        } catch {
            close(for: error)
        }
        link.endRead(now)
    }

    /// Whole frames to send; nil when there are none. Large requests are cut here, as credit allows. Pull events after
    /// it: streams may have room again.
    package mutating func takeOutbound() -> ByteBuffer? {
        while let step = link.writeFragment() {
            if step.hasRoom { events.append(.writable(step.call)) }
        }
        return link.takeOutput()
    }

    /// The transport ended. Every open call ends.
    package mutating func connectionClosed(now: WireInstant) {
        let reason = link.holdsPartialFrame ? "the connection ended within a frame" : "the connection ended"
        terminate(WireClosure(origin: .transport, code: .none, reason: reason))
    }

    // MARK: Time

    package func nextTimeout() -> WireInstant? {
        guard !isClosed else { return nil }
        var due = link.nextTimeout
        if let first = timers.first { due = min(due, first.due) }
        if let look = life.nextTimeout, phase.isOpen { due = min(due, look) }
        return due
    }

    /// Runs every timer that is due. Calling it early does no harm.
    package mutating func handleTimeout(now: WireInstant) {
        guard !isClosed else { return }
        do throws(WireViolation) {
            try link.handleTimeout(now)
        } catch {
            return close(for: error)
        }
        checkLife(now)
        while let entry = timers.popDue(now) {
            guard let call = calls[entry.call], call.due == entry.due, !call.isAbandoned else { continue }
            abandon(entry.call, WireStatusCode.deadlineExceeded, "the deadline passed", now: now)
        }
        let live = calls
        timers.prune { live[$0.call]?.due == $0.due }
    }

    private mutating func checkLife(_ now: WireInstant) {
        guard phase.isOpen else { return }
        switch life.look(now, openCalls: calls.count, lastCall: lastStarted) {
        case .goOn: break
        case .idle: endIdle()
        case .old: beginDrain("the connection has reached its age")
        }
    }

    /// Nobody needs the connection, nor one in its place.
    private mutating func endIdle() {
        guard case .announce = phase.drain() else { return }
        events.append(.idle)
        closeIfDrained()
    }

    // MARK: Calls

    /// Starts a call. Its `.ended` event follows.
    ///
    /// - Throws: why it did not start; nothing was sent then.
    package mutating func startCall(_ call: OutgoingCall, now: WireInstant) throws(StartCallError) -> CallID {
        try checkPhase()
        try check(call, now: now)
        let id = CallID(rawValue: nextCall)
        lastStarted = nextCall
        nextCall += 1
        let limit = min(call.responseLimit ?? .max, link.limits.maxMessageSize)
        calls.add(ClientCall(kind: call.kind, due: call.deadline, responseLimit: limit), at: id)
        if call.kind.serverStreams { streams[id] = IncomingStream(limit: limit, window: link.limits.callCredit) }
        if let due = call.deadline { addTimer(id, due) }
        if call.kind.clientStreams { openStream(id, call, now: now) } else { send(id, call, now: now) }
        return id
    }

    /// Ends a call for the application at once and asks the server to stop. Does nothing once the call has ended.
    package mutating func cancel(_ id: CallID, now: WireInstant) {
        abandon(id, WireStatusCode.cancelled, "cancelled by the caller", now: now)
    }

    private mutating func checkPhase() throws(StartCallError) {
        if let refusal = phase.refusal { throw refusal }
        guard nextCall < CallID.drainThreshold.rawValue else {
            beginDrain("call ids run out")
            throw .draining
        }
        guard calls.count < maxCalls else {
            owesSlotFreed = true
            throw .atCapacity(max: UInt32(maxCalls))
        }
    }

    private mutating func check(_ call: OutgoingCall, now: WireInstant) throws(StartCallError) {
        guard let maxMessageSize = link.peer?.maxMessageSize, let maxMetadataSize = link.peer?.maxMetadataSize else {
            throw .notEstablished
        }
        if let deadline = call.deadline, deadline.elapsed(since: now).microseconds == 0 { throw .deadlineExpired }
        guard call.body.count <= maxMessageSize else {
            throw .messageTooLarge(size: call.body.count, limit: maxMessageSize)
        }
        guard call.metadata.byteCount <= maxMetadataSize else {
            throw .metadataTooLarge(size: call.metadata.byteCount, limit: maxMetadataSize)
        }
        guard !call.metadata.isEmpty else { return }
        do throws(WireViolation) {
            try call.metadata.validate(maxSize: maxMetadataSize)
        } catch {
            throw .invalidMetadata(error.reason)
        }
    }

    /// One frame when it fits; else as much as fits, the rest in fragments.
    private mutating func send(_ id: CallID, _ call: OutgoingCall, now: WireInstant) {
        let remaining = Self.remaining(call.deadline, now: now)
        let room = link.peerFrameSize - CallFrame.fixedSize - call.metadata.byteCount
        guard call.body.count > room else {
            return link.output.write { $0.writeCall(id, call, remainingMicros: remaining) }
        }
        let (length, first) = (UInt32(clamping: call.body.count), call.body.prefix(room))
        let frame = CallFrame(
            method: call.method, remainingMicros: remaining, kind: call.kind.rawValue, lane: call.lane.rawValue,
            metadata: call.metadata.encoded, message: MessageStart(length: length, fragment: first), endsRequest: false)
        link.output.write { $0.writeCall(id, frame) }
        link.fragments.add(
            id, call.body, sent: room, endsRequest: true, window: SendWindow(link.peer?.callCredit ?? 0))
    }

    static func remaining(_ deadline: WireInstant?, now: WireInstant) -> UInt64 {
        guard let deadline else { return CallFrame.noDeadline }
        return min(deadline.elapsed(since: now).microseconds, CallFrame.noDeadline - 1)
    }

    private mutating func addTimer(_ id: CallID, _ due: WireInstant) {
        let live = calls
        timers.add(id, due: due, live: live.count) { live[$0.call]?.due == $0.due }
    }

    // MARK: The connection

    /// Sends PING; false when one is under way, the server's minimum forbids it, or there is no connection.
    package mutating func ping(now: WireInstant) -> Bool {
        !isClosed && link.ping(now)
    }

    /// Starts no more calls and says GOODBYE once the open ones have ended.
    package mutating func drain(now: WireInstant) {
        beginDrain("no longer needed")
        closeIfDrained()
    }

    private mutating func beginDrain(_ reason: String) {
        switch phase.drain() {
        case .announce: events.append(.draining(reason: reason))
        case .close: closeSayingGoodbye(WireClosure(origin: .local, code: .none, reason: reason))
        case .continueDraining, .violation, .ignore: break
        }
        closeIfDrained()
    }

    /// Says GOODBYE now. Open calls end as UNAVAILABLE.
    package mutating func close(_ reason: String, now: WireInstant) {
        closeSayingGoodbye(WireClosure(origin: .local, code: .none, reason: reason))
    }

    /// A slot is free: STATUS came for the call.
    mutating func freeSlot(_ id: CallID) {
        calls.removeValue(forKey: id)
        if calls.isEmpty { timers.removeAll() }
        if owesSlotFreed, phase.isOpen {
            owesSlotFreed = false
            events.append(.slotFreed)
        }
    }
}

// MARK: The end

extension ClientConnection {
    /// A broken rule of the connection, or a timer.
    mutating func close(for violation: WireViolation) {
        guard case .connection(let code) = violation.scope else { return }
        closeSayingGoodbye(WireClosure(violation, code))
    }

    mutating func closeIfDrained() {
        guard phase.endsAfterLastCall, calls.isEmpty else { return }
        closeSayingGoodbye(WireClosure(origin: .local, code: .none, reason: "drained"))
    }

    mutating func closeSayingGoodbye(_ closure: WireClosure) {
        guard !isClosed else { return }
        link.writeGoodbye(closure, lastCall: 0)
        terminate(closure)
    }

    /// Ends every call that the application still waits for. Calls above `lastAccepted`, and those whose request the
    /// server does not have whole, did not run (W-83).
    mutating func terminate(_ closure: WireClosure, lastAccepted: UInt32? = nil) {
        guard !isClosed else { return }
        let last = lastAccepted ?? phase.lastAccepted ?? .max
        phase = .closed
        isClosed = true
        for (id, call) in calls.sorted() where !call.isAbandoned {
            let cannotHaveRun = id.rawValue > last || holdsRequest(id, call)
            let status = WireStatus(
                code: WireStatusCode.unavailable, message: closure.reason, processed: cannotHaveRun ? .no : .maybe)
            events.append(.ended(id, CallResult(status: status, origin: .local)))
        }
        calls.removeAll()
        responses.removeAll()
        streams.removeAll()
        timers.removeAll()
        link.fragments.removeAll()
        events.append(.closed(closure))
    }
}
