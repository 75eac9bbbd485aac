import NIOCore
import NIOPosix
import NIOSSL
package import RPCCore
package import RPCTransport
import Synchronization
import WireCore

/// The connections of this process to the servers of one service: a channel that generated clients call through.
///
/// Nothing is opened before the first call. A call waits for a connection until its deadline, unless it says otherwise;
/// while calls wait, attempts to connect go on with growing, jittered pauses. Of several servers each call takes the
/// less busy one of two, and one that fails while others do not is left alone for a while. What is tried again, and how
/// often, `RetryPolicy` says; all of it ends with the call's deadline.
package final class ClientPool: RPCChannel, TrustObserver {
    /// Who the servers must be.
    package let service: PeerIdentity
    let options: ClientOptions
    let tls: TLSIdentity
    let resolver: any PeerResolver
    let loops: [any EventLoop]
    let state: Mutex<ClientPoolState>
    /// Nothing has failed lately: then a success needs no lock to tell of itself.
    let isCalm = Atomic(true)
    let finished = Latch()

    package init(
        service: PeerIdentity, resolver: any PeerResolver, tls: TLSIdentity, options: ClientOptions = ClientOptions()
    ) {
        self.service = service
        self.resolver = resolver
        self.tls = tls
        self.options = options
        loops = Array(options.group.makeIterator())
        let connections = options.connections ?? min(loops.count, ClientOptions.mostConnections)
        let plan = ConnectionPlan(connections: connections, backoff: options.backoff)
        state = Mutex(ClientPoolState(resolver.known, plan, options: options, now: .now))
        tls.observe(self)
    }

    /// The same with the service's name.
    ///
    /// - Throws: `HostingError` when `service` is no name of a service.
    package convenience init(
        service: String, resolver: any PeerResolver, tls: TLSIdentity, options: ClientOptions = ClientOptions()
    ) throws(HostingError) {
        guard let identity = PeerIdentity(service: service) else {
            throw HostingError("\"\(service)\" is not the name of a service.")
        }
        self.init(service: identity, resolver: resolver, tls: tls, options: options)
    }

    /// One server, at an address that never changes.
    ///
    /// - Throws: `HostingError` when `service` is no name of a service.
    package convenience init(
        service: String, host: String, port: Int, tls: TLSIdentity, options: ClientOptions = ClientOptions()
    ) throws(HostingError) {
        let resolver = StaticResolver([HostPort(host: host, port: port)])
        try self.init(service: service, resolver: resolver, tls: tls, options: options)
    }

    /// `auth at 127.0.0.1:7101`
    package var target: String { "\(service.service) at \(resolver.description)" }
    /// Connections that take calls.
    package var readyConnections: Int { state.withLock { $0.peers.reduce(0) { $0 + $1.ready.count } } }
    /// Servers that at least one connection leads to.
    package var readyPeers: Int { state.withLock { $0.peers.count { !$0.ready.isEmpty } } }
    /// Servers that are out of use, or being tried, because they failed.
    package var ejectedPeers: Int { state.withLock { $0.health.ejected } }
    /// Calls that wait for a connection or a free slot.
    package var waitingCalls: Int { state.withLock { $0.waiting.count } }

    // MARK: Calling

    package func call(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) async throws(RPCError) -> [UInt8] {
        let now = MonotonicInstant.now
        let deadline = options.effectiveDeadline(for: method, now: now)
        try check(method, request, deadline, now: now)
        if let delay = options.hedgeDelay ?? self.options.hedgeDelay, method.mayBeHedged {
            return try await HedgedCall(self, method, request, options, deadline, delay: delay).answer().get()
        }
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
        HandlerScope.current?.act()
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
    ///
    /// - Parameter avoiding: Not to this peer, if there is another.
    func submit(_ call: PendingCall, avoiding peer: PeerID? = nil) {
        wait(call, first: false, avoiding: peer)
    }

    /// Has the call wait until a connection has room, at most until its deadline.
    func wait(_ call: PendingCall, first: Bool, avoiding peer: PeerID? = nil) {
        let verdict = state.withLock { state in
            state.wait(call, first: first, avoiding: peer, limit: options.maximumWaiting, now: .now)
        }
        switch verdict {
        case .waits(let attempts):
            let delay = WireDuration(call.deadline.remaining()).nanoseconds
            call.guarded(
                by: loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: delay))) { [self] in expire(call) })
            begin(attempts)
            findPeers()
        case .ready(let connection):
            connection.start(call)
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

    /// The deadline passed before the call was sent. Where connecting has failed, that is why; else time is all there was
    /// too little of.
    private func expire(_ call: PendingCall) {
        state.withLock { $0.forget(call) }
        var error = noConnection(call)
        if error.timeline.waitedFor == nil { (error.code, error.reason) = (.deadlineExceeded, "deadline_exceeded") }
        call.end(.failure(error))
    }

    private func full(_ call: PendingCall) -> RPCError {
        RPCError(
            .resourceExhausted, "\(options.maximumWaiting) calls already wait for a connection to \(target).",
            reason: "busy", processed: .no)
    }

    func noConnection(_ call: PendingCall) -> RPCError {
        let (failure, isReady) = state.withLock { ($0.lastFailure, $0.hasReady) }
        let waited = call.waited()
        let subject = isReady ? "a free slot at \(target)" : "a connection to \(target)"
        let cause = failure ?? (isReady ? "all slots stayed taken" : "none yet")
        return RPCError(
            .unavailable, "waited \(waited.shortText) for \(subject); last failure: \(cause)", reason: "no_connection",
            processed: .no, timeline: CallTimeline(waitedForConnection: waited, waitedFor: failure))
    }

    // MARK: Ending

    /// Refuses new calls, ends those that wait, lets those under way end for `shutdownGrace` at most, and closes.
    package func shutdown() async {
        resolver.stop()
        let (waiting, live) = state.withLock { $0.close() }
        for call in waiting {
            call.end(.failure(RPCError(.unavailable, "This process is shutting down.", processed: .no)))
        }
        if live.isEmpty { return }
        for connection in live { connection.run { $0.shutdown() } }
        let grace = WireDuration(options.shutdownGrace).nanoseconds
        let cut = loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: grace))) {
            for connection in self.state.withLock({ Array($0.live.values) }) { connection.channel.close(promise: nil) }
        }
        await finished.wait()
        cut.cancel()
    }
}
