package import NIOCore

/// The server's end of a connection, without sockets, clocks or tasks: bytes and time in, bytes and events out.
///
/// After every mutating call pull `nextEvent()` until nil, then `takeOutbound()` while the transport takes bytes.
/// Instants must not run backwards. Nothing a peer sends can trap; what breaks a rule of WIRE.md ends in STATUS or
/// GOODBYE.
///
/// What every call passes is `mutating` even where it changes nothing: Swift 6.3 lends a large value by copying it, and
/// this one has 800 bytes.
package struct ServerConnection: ~Copyable, Sendable {
    var link: Link
    var phase = ServerPhase.handshaking(ServerPhase.Handshaking())
    /// Every call that is owed a STATUS. CANCEL takes none out (W-75).
    var calls = CallTable<ServerCall>()
    /// The requests among them that are not whole.
    var requests = CallTable<IncomingRequest>()
    /// What comes for those whose client streams.
    var streams = CallTable<IncomingStream>()
    var timers = CallTimers()
    var life: Lifetime
    var events = CircularBuffer<Event>()
    /// The highest call id seen, 0 before the first.
    var highestCall: UInt32 = 0
    let requestLimits: [UInt32: UInt32]
    let acceptsStreams: Bool

    package enum Event: Equatable, Sendable {
        /// The peer's HELLO.
        case established(HelloFrame)
        /// A whole request, or the start of a stream. The driver owes exactly one `succeed`, `finish` or `fail`.
        case call(IncomingCall)
        /// The next message of a stream. The driver owes a `take` once the application has it.
        case message(CallID, MessageBody)
        /// The client's stream has ended: no message follows.
        case requestEnded(CallID)
        /// The stream has room for messages again, after `SendOutcome.full`.
        case writable(CallID)
        /// The client asks to stop the handler. The answer is still owed.
        case cancelled(CallID)
        /// The deadline has passed: stop the handler. The answer is still owed; it goes out as DEADLINE_EXCEEDED.
        case expired(CallID)
        /// The call, or the connection, has ended: stop the handler. No answer is owed.
        case aborted(CallID)
        case pong(roundTrip: WireDuration)
        /// The client starts no more calls; the last one it started.
        case drainAcknowledged(last: CallID?)
        /// Always the last event, exactly once: flush `takeOutbound()`, then close the transport.
        case closed(WireClosure)
    }

    /// HELLO is in the outbound bytes at once.
    ///
    /// - Parameters:
    ///   - acceptsStreams: Whether calls may stream; if not, they end as UNIMPLEMENTED (W-31).
    ///   - requestLimits: The longest message of each method, bytes; methods not named have `limits.maxMessageSize`.
    /// - Throws: a limit out of its bounds, or a service name that HELLO cannot carry.
    package init(
        limits: WireLimits = .defaults(), fingerprints: [ServiceFingerprint] = [],
        requestLimits: [UInt32: UInt32] = [:], acceptsStreams: Bool = false,
        now: WireInstant
    ) throws(WireLimitsError) {
        link = try Link(role: .server, limits: limits, fingerprints: fingerprints, now: now)
        life = Lifetime(limits, now: now)
        self.requestLimits = requestLimits
        self.acceptsStreams = acceptsStreams
    }

    /// The phase says so too; this can be read without it.
    package private(set) var isClosed = false
    /// Stop reading: the peer does not take what it is sent.
    package var isCongested: Bool { link.isCongested }
    /// Calls that are owed a STATUS.
    package var openCallCount: Int { calls.count }

    /// Whether the call is owed a STATUS: its answer may be on its way.
    package func isOpen(_ id: CallID) -> Bool { calls.contains(id) }

    package mutating func nextEvent() -> Event? {
        events.popFirst()
    }

    /// The same, but none while more waits to be sent than may: what the peer asked for beside it has to wait (W-133).
    package mutating func nextEventInTurn() -> Event? {
        link.isCongested && !isClosed ? nil : events.popFirst()
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

    /// Whole frames to send; nil when there are none. Large answers are cut here, as credit allows. Pull events after
    /// it: the last fragment of a drain's last call closes the connection.
    package mutating func takeOutbound() -> ByteBuffer? {
        while let step = link.writeFragment() {
            if step.hasRoom { events.append(.writable(step.call)) }
            if step.isLast { finishSending(step.call) }
        }
        return link.takeOutput()
    }

    /// The transport ended. Calls are aborted.
    package mutating func connectionClosed(now: WireInstant) {
        let reason = link.holdsPartialFrame ? "the connection ended within a frame" : "the connection ended"
        terminate(WireClosure(origin: .transport, code: .none, reason: reason))
    }

    // MARK: Time

    package func nextTimeout() -> WireInstant? {
        guard !isClosed else { return nil }
        var due = link.nextTimeout
        if let first = timers.first { due = min(due, first.due) }
        if let graceEnds = phase.graceEnds { due = min(due, graceEnds) }
        if let look = life.nextTimeout, phase.isOpen { due = min(due, look) }
        return due
    }

    /// Runs every timer that is due. Calling it early does no harm.
    package mutating func handleTimeout(now: WireInstant) {
        guard !isClosed else { return }
        do throws(WireViolation) {
            try link.handleTimeout(now)
            try checkGrace(now)
        } catch {
            return close(for: error)
        }
        checkLife(now)
        while let entry = timers.popDue(now) {
            if calls[entry.call]?.due == entry.due { expire(entry.call) }
        }
        pruneTimers()
    }

    private func checkGrace(_ now: WireInstant) throws(WireViolation) {
        if let graceEnds = phase.graceEnds, now >= graceEnds {
            throw .connection(.timeout, 104, "the drain's grace is over, \(calls.count) calls were open")
        }
    }

    private mutating func checkLife(_ now: WireInstant) {
        guard phase.isOpen else { return }
        switch life.look(now, openCalls: calls.count, lastCall: highestCall) {
        case .goOn: break
        case .idle: drain("the connection was idle", now: now)
        case .old: drain("the connection has reached its age", now: now)
        }
    }

    // MARK: The application's wishes

    /// The contract gives the call until `due`, where its own deadline is later or missing: from then on it counts as
    /// expired, and an answer under way is no longer sent. So nothing waits for a client's credit for ever.
    package mutating func limit(_ id: CallID, to due: WireInstant) {
        guard let call = calls[id], call.due.map({ due < $0 }) ?? true else { return }
        calls[id]?.due = due
        addTimer(id, due)
    }

    /// Sends PING; false when one is under way, the client's minimum forbids it, or there is no connection.
    package mutating func ping(now: WireInstant) -> Bool {
        !isClosed && link.ping(now)
    }

    /// Refuses new calls, lets the open ones end, then closes. With `grace` over, or `limits.drainGrace`, it closes
    /// all the same.
    package mutating func drain(_ reason: String, grace: WireDuration? = nil, now: WireInstant) {
        let grace = grace ?? link.limits.drainGrace
        switch phase.drain(lastAccepted: highestCall, graceEnds: now.advanced(by: grace)) {
        case .ignore: break
        case .close: close(reason, now: now)
        case .announce:
            let millis = UInt32(clamping: grace.milliseconds)
            let drain = DrainFrame(lastCall: highestCall, graceMillis: millis, reason: reason)
            link.output.write { $0.writeDrain(drain) }
        }
    }

    /// Says GOODBYE now. Open calls are aborted.
    package mutating func close(_ reason: String, now: WireInstant) {
        closeSayingGoodbye(WireClosure(origin: .local, code: .none, reason: reason))
    }
}

// MARK: The end

extension ServerConnection {
    /// A broken rule of the connection, or a timer.
    mutating func close(for violation: WireViolation) {
        guard case .connection(let code) = violation.scope else { return }
        closeSayingGoodbye(WireClosure(violation, code))
    }

    mutating func closeSayingGoodbye(_ closure: WireClosure) {
        guard !isClosed else { return }
        link.writeGoodbye(closure, lastCall: highestCall)
        terminate(closure)
    }

    mutating func terminate(_ closure: WireClosure) {
        guard !isClosed else { return }
        phase = .closed
        isClosed = true
        for (id, call) in calls.sorted() {
            if case .running = call.state { events.append(.aborted(id)) }
        }
        calls.removeAll()
        requests.removeAll()
        streams.removeAll()
        timers.removeAll()
        link.fragments.removeAll()
        events.append(.closed(closure))
    }
}
