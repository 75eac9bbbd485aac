import NIOCore
import NIOPosix
import NIOSSL
package import RPCCore
package import RPCTransport
import Synchronization
import WireCore
import X509

/// The connections of this process to one service: a channel that generated clients call through.
///
/// Nothing is opened before the first call. A call waits for a connection until its deadline, unless it says otherwise;
/// while calls wait, attempts to connect go on with growing, jittered pauses. A call that the service says it has not
/// processed because it is going away, or that was never sent whole, is sent once more by itself; any other failure is
/// the caller's to judge by `processed`. What a busy service refuses (RESOURCE_EXHAUSTED) is not sent again: that would
/// only make it busier.
package final class ClientPool: RPCChannel, TrustObserver {
    /// Who the server must be.
    package let service: PeerIdentity
    package let host: String
    package let port: Int
    let options: ClientOptions
    private let tls: TLSIdentity
    private let loops: [any EventLoop]
    private let state: Mutex<ClientPoolState>
    private let finished = Latch()

    private static let writeWatermarks = ChannelOptions.Types.WriteBufferWaterMark(low: 128 * 1024, high: 512 * 1024)

    package init(
        service: PeerIdentity, host: String, port: Int, tls: TLSIdentity, options: ClientOptions = ClientOptions()
    ) {
        self.service = service
        self.host = host
        self.port = port
        self.tls = tls
        self.options = options
        loops = Array(options.group.makeIterator())
        let connections = options.connections ?? min(loops.count, ClientOptions.mostConnections)
        state = Mutex(ClientPoolState(ConnectionPlan(connections: connections, backoff: options.backoff)))
        tls.observe(self)
    }

    /// The same with the service's name.
    ///
    /// - Throws: `HostingError` when `service` is no name of a service.
    package convenience init(
        service: String, host: String, port: Int, tls: TLSIdentity, options: ClientOptions = ClientOptions()
    ) throws(HostingError) {
        guard let identity = PeerIdentity(service: service) else {
            throw HostingError("\"\(service)\" is not the name of a service.")
        }
        self.init(service: identity, host: host, port: port, tls: tls, options: options)
    }

    /// `auth at 127.0.0.1:7101`
    package var target: String { "\(service.service) at \(host):\(port)" }
    /// Connections that take calls.
    package var readyConnections: Int { state.withLock { $0.ready.count } }
    /// Calls that wait for a connection or a free slot.
    package var waitingCalls: Int { state.withLock { $0.waiting.count } }

    // MARK: Calling

    package func call(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) async throws(RPCError) -> [UInt8] {
        let now = MonotonicInstant.now
        let deadline = options.effectiveDeadline(for: method, now: now)
        try check(method, request, deadline, now: now)
        let call = PendingCall(method, request, options, deadline: deadline, now: now)
        let answer = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if call.wait(with: continuation) { submit(call) }
            }
        } onCancel: {
            cancel(call)
        }
        return try answer.get()
    }

    /// The end of a call that was submitted already.
    func answer(of call: PendingCall) async throws(RPCError) -> [UInt8] {
        let answer = await withTaskCancellationHandler {
            await withUnsafeContinuation { _ = call.wait(with: $0) }
        } onCancel: {
            cancel(call)
        }
        return try answer.get()
    }

    package func open(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) throws(RPCError) -> any RPCStream {
        let now = MonotonicInstant.now
        let deadline = options.effectiveDeadline(for: method, now: now)
        try check(method, request, deadline, now: now)
        let stream = ClientStream()
        let call = PendingCall(method, request, options, deadline: deadline, now: now, stream: stream)
        submit(call)
        return OpenStream(pool: self, call: call, stream: stream)
    }

    private func check(
        _ method: MethodDescriptor, _ request: [UInt8], _ deadline: Deadline, now: MonotonicInstant
    ) throws(RPCError) {
        guard !Task.isCancelled else { throw .cancelled(method, processed: .no) }
        guard !deadline.hasPassed(now: now) else { throw .deadlineExceeded(method, processed: .no) }
        guard request.count <= method.requestLimit else {
            throw RPCError(
                .resourceExhausted,
                "The request of \(method.fullName) has \(request.count) bytes; \(method.requestLimit) are allowed.",
                reason: "request_too_large", processed: .no)
        }
    }

    /// Ends the call here and where it was sent. Does nothing when it has ended.
    func cancel(_ call: PendingCall) {
        guard !call.isEnded else { return }
        let place = call.end(.failure(.cancelled(call.method, processed: .maybe)))
        if let place { place.connection.run { $0.cancel(place.id) } }
        state.withLock { $0.forget(call) }
    }

    /// Sends the call on the best connection, or has it wait for one.
    func submit(_ call: PendingCall) {
        wait(call, first: false)
    }

    /// Has the call wait until a connection has room, at most until its deadline.
    func wait(_ call: PendingCall, first: Bool) {
        let verdict = state.withLock { state in
            state.wait(call, first: first, limit: options.maximumWaiting, now: .now)
        }
        switch verdict {
        case .waits(let attempts):
            let delay = WireDuration(call.deadline.remaining()).nanoseconds
            call.guarded(
                by: loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: delay))) { [self] in expire(call) })
            begin(attempts)
        case .ready(let connection):
            connection.run { $0.start(call) }
        case .ended:
            break
        case .closed:
            call.end(.failure(RPCError(.unavailable, "This process is shutting down.", processed: .no)))
        case .full:
            call.end(.failure(full(call)))
        case .notReady:
            call.end(.failure(noConnection(call)))
        }
    }

    /// The call that has waited longest.
    func nextWaiting() -> PendingCall? { state.withLock { $0.nextWaiting() } }

    private func expire(_ call: PendingCall) {
        state.withLock { $0.forget(call) }
        call.end(.failure(noConnection(call)))
    }

    private func full(_ call: PendingCall) -> RPCError {
        RPCError(
            .resourceExhausted, "\(options.maximumWaiting) calls already wait for a connection to \(target).",
            reason: "busy", processed: .no)
    }

    private func noConnection(_ call: PendingCall) -> RPCError {
        let (failure, isReady) = state.withLock { ($0.plan.lastFailure, !$0.ready.isEmpty) }
        let waited = call.waited()
        let subject = isReady ? "a free slot at \(target)" : "a connection to \(target)"
        let cause = failure ?? (isReady ? "all slots stayed taken" : "none yet")
        return RPCError(
            .unavailable, "waited \(waited.shortText) for \(subject); last failure: \(cause)", reason: "no_connection",
            processed: .no, timeline: CallTimeline(waitedForConnection: waited, waitedFor: failure))
    }

    // MARK: Connections

    private func begin(_ attempts: [ConnectionPlan.Attempt]) {
        for attempt in attempts { connect(attempt) }
        scheduleRetry()
    }

    private func connect(_ attempt: ConnectionPlan.Attempt) {
        let timeout = WireDuration(options.connectTimeout).nanoseconds
        ClientBootstrap(group: loops[attempt.slot % loops.count])
            .connectTimeout(.nanoseconds(Int64(clamping: timeout)))
            .channelOption(.writeBufferWaterMark, value: Self.writeWatermarks)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel, attempt) }
            }
            .connect(host: host, port: port)
            .whenFailure { [self] error in failed(attempt, TransportFailure.text(error)) }
    }

    private func prepare(_ channel: any Channel, _ attempt: ConnectionPlan.Attempt) throws {
        let session = ClientSession(pool: self, attempt: attempt)
        let handlers = channel.pipeline.syncOperations
        do {
            try handlers.addHandler(NIOSSLClientHandler(context: tls.clientContext, serverHostname: nil))
            try handlers.addHandler(session.driver)
        } catch {
            // No channel will let go of the driver, so it is told here to forget the session.
            session.driver.session = nil
            throw error
        }
        guard let handle = session.handle else { return }
        state.withLock { $0.live[ObjectIdentifier(handle)] = handle }
        channel.closeFuture.whenComplete { [self] _ in closed(handle) }
    }

    var trustGeneration: Int { tls.generation }

    func believes(_ certificate: Certificate) -> Bool { tls.accepts(certificate) }

    /// Connections to a server that is no longer believed end after their last call; others take their place.
    package func trustChanged() {
        for connection in state.withLock({ Array($0.live.values) }) { connection.run { $0.endIfDistrusted() } }
    }

    /// Takes the connection into use; false when nobody wants it any more.
    func connected(_ connection: ClientConnectionHandle) -> Bool {
        let isWanted = state.withLock { $0.connected(connection) }
        begin(state.withLock { $0.demand(now: .now) })
        return isWanted
    }

    func retired(_ connection: ClientConnectionHandle, hasServed: Bool, isNeeded: Bool) {
        guard isNeeded else { return state.withLock { $0.dropped(connection) } }
        let attempts = state.withLock { state in
            var random = SystemRandomNumberGenerator()
            return state.retired(connection, hasServed: hasServed, now: .now, using: &random)
        }
        begin(attempts)
    }

    /// A connection has served: the next failure is the first again.
    func proved() { state.withLock { $0.plan.proved() } }

    func failed(_ attempt: ConnectionPlan.Attempt, _ reason: String) {
        let hopeless = state.withLock { state in
            var random = SystemRandomNumberGenerator()
            state.plan.failed(attempt, reason, now: .now, using: &random)
            return state.impatient()
        }
        for call in hopeless { call.end(.failure(noConnection(call))) }
        scheduleRetry()
    }

    /// While connections are wanted, the next attempts begin when the pause is over.
    private func scheduleRetry() {
        let retryAt = state.withLock { $0.retryToSchedule() }
        guard let retryAt else { return }
        let delay = WireDuration(ContinuousClock.now.duration(to: retryAt)).nanoseconds
        loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: delay))) { [self] in retry() }
    }

    private func retry() {
        begin(state.withLock { $0.retry(now: .now) })
    }

    private func closed(_ connection: ClientConnectionHandle) {
        let isLast = state.withLock { state in
            state.live[ObjectIdentifier(connection)] = nil
            return state.isClosing && state.live.isEmpty
        }
        if isLast { finished.open() }
    }

    // MARK: Ending

    /// Refuses new calls, ends those that wait, lets those under way end for `shutdownGrace` at most, and closes.
    package func shutdown() async {
        let (waiting, live) = state.withLock { $0.close() }
        for call in waiting {
            call.end(.failure(RPCError(.unavailable, "This process is shutting down.", processed: .no)))
        }
        if live.isEmpty { return }
        for connection in live { connection.run { $0.shutdown() } }
        let grace = WireDuration(options.shutdownGrace).nanoseconds
        let cut = loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: grace))) {
            for connection in live { connection.channel.close(promise: nil) }
        }
        await finished.wait()
        cut.cancel()
    }
}
