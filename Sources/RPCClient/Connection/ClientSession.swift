import NIOCore
import RPCCore
import RPCTransport
import WireCore

/// One connection of a client: sends calls, and gives their answers to those who wait. Lives on its event loop.
final class ClientSession: WireSession {
    let driver: WireDriver
    /// Nil until the handshake is done.
    private var machine: ClientConnection?
    private let pool: ClientPool
    private let attempt: ConnectionAttempt
    private(set) lazy var handle = driver.context.map { ClientConnectionHandle($0.channel, self, attempt) }
    private var calls = CallTable<PendingCall>()
    /// Writers of streams that wait for room.
    private var writers: [CallID: [WriteDone]] = [:]
    /// Memory for the metadata of one call after the other.
    private var metadata = WireMetadata()
    private var establishedAt: MonotonicInstant?
    private var closure: WireClosure?
    private var isRetired = false
    /// The identity's generation when this connection began.
    private let trust: Int
    /// The server has answered a call here.
    private var hasServed = false
    /// It ended while the server had calls.
    private var hasLostCalls = false

    init(pool: ClientPool, attempt: ConnectionAttempt) {
        self.pool = pool
        self.attempt = attempt
        self.trust = pool.trustGeneration
        self.driver = WireDriver(handshakeTimeout: pool.options.handshakeTimeout)
        driver.session = self
    }

    // MARK: The machine

    func open(_ peer: PeerIdentity, now: WireInstant) throws {
        guard peer == pool.service else {
            throw HandshakeError("the server is \(peer.service), not \(pool.service.service)")
        }
        var random = SystemRandomNumberGenerator()
        machine = try ClientConnection(limits: pool.options.limits.varied(using: &random), now: now)
    }

    var isCongested: Bool { machine?.isCongested ?? false }
    var isClosed: Bool { machine?.isClosed ?? false }
    var nextTimeout: WireInstant? { machine?.nextTimeout() }
    func receive(_ bytes: ByteBuffer, now: WireInstant) { machine?.receive(bytes, now: now) }

    func handleEvents() {
        // What ends calls is known before their ends are: so they can tell that the connection was on its way out.
        let isOver = isClosed
        while let event = machine?.nextEvent() { handle(event, isOver: isOver) }
    }

    func takeOutbound() -> ByteBuffer? { machine?.takeOutbound() }
    func handleTimeout(now: WireInstant) { machine?.handleTimeout(now: now) }
    func connectionClosed(now: WireInstant) { machine?.connectionClosed(now: now) }

    // MARK: The connection

    private func handle(_ event: ClientConnection.Event, isOver: Bool) {
        if case .idle = event { return retire(isNeeded: false) }
        if isOver { retire() }
        switch event {
        case .established: establish()
        case .ended(let id, let result): end(id, result)
        case .slotFreed:
            handle?.isFull = false
            feed()
        case .draining: retire()
        case .closed(let closure): self.closure = closure
        case .message(let id, let message): calls[id]?.stream?.deliver(message.array)
        case .writable(let id): resumeWriters(id)
        case .pong, .idle: break
        }
    }

    func ended(_ reason: String) {
        retire()
        if hasLostCalls { pool.lost(attempt.peer) }
        // Handle and session hold each other: here the session lets go, for the connection is over.
        defer { handle = nil }
        guard establishedAt == nil, driver.hasBeenActive else { return }
        pool.failed(attempt, driver.transportError == nil ? closure?.reason ?? reason : reason)
    }

    private func establish() {
        // GOODBYE may have come with HELLO: then the connection was none, and `ended` tells the pool so.
        guard !isRetired, let handle else { return }
        establishedAt = .now
        if pool.connected(handle) { feed() } else { shutdown() }
        // Nobody could end it while its handshake went on.
        if trust != pool.trustGeneration { endIfDistrusted() }
    }

    /// Takes no more calls, and ends, when the authority of the server's certificate is not believed any more.
    func endIfDistrusted() {
        guard let certificate = driver.peerCertificate, !pool.believes(certificate) else { return }
        machine?.drain(now: WireClock.now)
        driver.pump()
    }

    /// Takes no more calls; those under way go on.
    ///
    /// - Parameter isNeeded: Whether another connection may have to take its place now.
    private func retire(isNeeded: Bool = true) {
        guard !isRetired, let handle else { return }
        isRetired = true
        pool.retired(handle, hasServed: hasServed, isNeeded: isNeeded)
    }

    /// Ends once the calls under way have; before HELLO at once.
    func shutdown() {
        guard establishedAt != nil else {
            driver.context?.close(promise: nil)
            return
        }
        retire()
        machine?.drain(now: WireClock.now)
        driver.pump()
    }

    // MARK: Calls

    /// Starts those that wait, as long as there is room.
    private func feed() {
        while let call = pool.nextWaiting() {
            guard start(call, hasWaited: true) else { return }
        }
    }

    /// Sends the call, or gives it back to the pool; false when there is no room for more.
    ///
    /// - Parameter hasWaited: It is the one that has waited longest, and keeps its place.
    @discardableResult
    func start(_ call: PendingCall, hasWaited: Bool = false) -> Bool {
        guard !call.isEnded else { return true }
        let now = MonotonicInstant.now
        do throws(StartCallError) {
            try send(call, now: now)
            return true
        } catch {
            return giveBack(call, error, hasWaited: hasWaited)
        }
    }

    private func send(_ call: PendingCall, now: MonotonicInstant) throws(StartCallError) {
        let instant = WireClock.instant(at: now)
        guard let handle, let id = try machine?.startCall(call.outgoing(metadata: &metadata), now: instant) else { throw .closed }
        calls[id] = call
        handle.outstanding.set(calls.count)
        if !call.began(at: PendingCall.Place(connection: handle, id: id), now: now) {
            machine?.cancel(id, now: instant)
        }
        driver.pumpSoon()
    }

    private func giveBack(_ call: PendingCall, _ error: StartCallError, hasWaited: Bool) -> Bool {
        switch error {
        case .atCapacity:
            handle?.isFull = true
            pool.wait(call, first: hasWaited)
            return false
        case .notEstablished, .draining, .closed:
            retire()
            pool.submit(call)
            return false
        case .deadlineExpired: call.end(.failure(.deadlineExceeded(call.method, processed: .no)))
        case .messageTooLarge(let size, let limit): call.end(.failure(.tooLarge(call.method, "request", size, limit)))
        case .metadataTooLarge(let size, let limit): call.end(.failure(.tooLarge(call.method, "metadata", size, limit)))
        case .invalidMetadata(let reason):
            call.end(.failure(RPCError(.invalidArgument, "The metadata: \(reason).", processed: .no)))
        }
        return true
    }

    // MARK: Streams

    /// Sends a message of a client's stream; `done` hears when there is room for the next.
    func send(_ id: CallID, _ message: [UInt8], _ done: @escaping WriteDone) {
        guard let call = calls[id] else { return done(.streamEnded) }
        switch machine?.send(id, message: ByteBuffer(bytes: message)) {
        case .taken: done(nil)
        case .full: writers[id, default: []].append(done)
        case .tooLarge(let limit): done(.tooLarge(call.method, "message", message.count, limit))
        case .ended, nil: done(.streamEnded)
        }
        driver.pumpSoon()
    }

    func finishRequests(_ id: CallID) {
        machine?.finishRequest(id)
        driver.pumpSoon()
    }

    /// The application has taken a message of a server's stream.
    func take(_ id: CallID) {
        machine?.take(id)
        driver.pumpSoon()
    }

    private func resumeWriters(_ id: CallID) {
        for writer in writers.removeValue(forKey: id) ?? [] { writer(nil) }
    }

    /// The caller is gone: asks the server to stop.
    func cancel(_ id: CallID) {
        machine?.cancel(id, now: WireClock.now)
        driver.pumpSoon()
    }

    private func end(_ id: CallID, _ result: CallResult) {
        guard let call = calls.removeValue(forKey: id) else { return }
        let handle = handle
        handle?.outstanding.set(calls.count)
        if !writers.isEmpty {
            for writer in writers.removeValue(forKey: id) ?? [] { writer(.streamEnded) }
        }
        if !hasServed, result.origin == .peer, !result.isRefusalToServe {
            hasServed = true
            pool.proved(attempt.peer)
        }
        guard result.status.isOK else { return fail(call, result) }
        handle?.successes += 1
        pool.succeeded(attempt.peer)
        let there = call.options.onEnd == nil ? nil : RPCError(result.status).timeline
        call.end(.success(result.message?.array ?? []), there: there)
    }

    private func fail(_ call: PendingCall, _ result: CallResult) {
        let error = error(of: call, result)
        if result.origin == .local, error.code == .unavailable, error.processed == .maybe { hasLostCalls = true }
        let failure = FailedAttempt(
            error.code, error.processed, retryAfter: error.retryAfter, missed: result.origin == .local || (isRetired && !result.hasRun))
        pool.failed(call, failure, error, at: attempt.peer, result.verdict(isRetired: isRetired))
    }

    private func error(of call: PendingCall, _ result: CallResult) -> RPCError {
        var error = RPCError(result.status)
        if result.origin == .local {
            // Times are the server's to tell, and here it has told none.
            if result.status.queuedMicros == 0, result.status.ranMicros == 0 { error.timeline = CallTimeline() }
            explain(&error, call)
        }
        error.timeline.attempts = call.attempts.number
        return error
    }

    /// Puts what this side knows into an error that it made itself.
    private func explain(_ error: inout RPCError, _ call: PendingCall) {
        switch error.code {
        case .unavailable:
            error.message = "The connection to \(place) was lost\(history): \(cause(error.message))."
            error.reason = "connection_lost"
        case .deadlineExceeded:
            let limit = call.submitted.duration(to: call.deadline.instant).shortText
            error.message = "\(call.method.fullName) at \(place) did not answer within \(limit)."
            error.reason = "deadline_exceeded"
        default:
            error.message = "\(call.method.fullName) at \(place): \(error.message)."
        }
    }

    /// `auth at 127.0.0.1:7101`
    private var place: String { "\(pool.service.service) at \(attempt.address)" }

    /// ` after 12.3 s, its last frame STATUS, its last byte 0.1 s ago`
    private var history: String {
        let now = MonotonicInstant.now
        guard let establishedAt, let lastRead = driver.lastRead else { return "" }
        let (age, silence) = (establishedAt.duration(to: now), lastRead.duration(to: now))
        let frame = machine?.lastFrame.map { ", its last frame \($0)" } ?? ""
        return " after \(age.shortText)\(frame), its last byte \(silence.shortText) ago"
    }

    private func cause(_ reason: String) -> String {
        driver.transportError.map(TransportFailure.text) ?? reason
    }
}

extension CallResult {
    /// The server, or the end of the connection, says that the call did not run and might elsewhere.
    fileprivate var isRefusalToServe: Bool {
        status.code == WireStatusCode.unavailable && status.processed == .no && !hasRun
    }

    /// A handler ran, and says itself that it has done nothing: such as one whose database was away.
    fileprivate var hasRun: Bool { status.ranMicros > 0 }

    /// What it says of the server. A server that only ends a connection is well; a connection that is lost with all its
    /// calls is one failure, not many, and told apart.
    fileprivate func verdict(isRetired: Bool) -> PeerVerdict {
        switch status.code {
        case WireStatusCode.unavailable: isRetired || origin == .local ? .unknown : .ill
        case WireStatusCode.deadlineExceeded: .ill
        case WireStatusCode.internal, WireStatusCode.unknown, WireStatusCode.dataLoss: origin == .peer ? .ill : .unknown
        default: origin == .peer ? .well : .unknown
        }
    }
}

extension RPCError {
    fileprivate static func tooLarge(
        _ method: MethodDescriptor, _ what: String, _ size: Int, _ limit: UInt32
    ) -> RPCError {
        RPCError(
            .resourceExhausted, "The \(what) of \(method.fullName) has \(size) bytes; the server takes \(limit).",
            reason: "request_too_large", processed: .no)
    }
}

extension Duration {
    /// Seconds with one decimal, or milliseconds below a second: `1.9 s`, `250 ms`.
    var shortText: String {
        let milliseconds = WireDuration(self).milliseconds
        guard milliseconds >= 1000 else { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }
}
