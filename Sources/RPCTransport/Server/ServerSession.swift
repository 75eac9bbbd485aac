import NIOCore
import RPCCore
import WireCore

/// One connection of a server: takes calls from the machine, has them run, and gives their answers back.
///
/// Lives on its event loop. Every call that `accept` lets in ends in exactly one `finish`, whichever thread ran it.
final class ServerSession: WireSession {
    let driver: WireDriver<ServerConnection>
    private let core: ServerCore
    private var tokens = UserTokenCache()
    var calls = CallTable<OpenCall>()
    private var closure: WireClosure?
    private lazy var executor = driver.context.map { LoopExecutor($0.eventLoop) }
    /// This loop's place in the watch, and executors that say for whom they run; neither without a watch.
    private lazy var place = driver.context.flatMap { core.options.loopWatch?.place(of: $0.eventLoop) }
    private var watched: [UInt32: LoopExecutor] = [:]

    init(core: ServerCore) {
        self.core = core
        self.driver = WireDriver(handshakeTimeout: core.options.handshakeTimeout) { _, now in
            try ServerConnection(
                limits: core.options.limits, fingerprints: core.fingerprints, requestLimits: core.requestLimits,
                acceptsStreams: core.acceptsStreams, now: now)
        }
        driver.session = self
    }

    func handle(_ event: ServerConnection.Event) {
        switch event {
        case .established: if let peer = driver.peer { core.observer?.connectionOpened(peer: peer) }
        case .call(let call): accept(call)
        case .cancelled(let id): stop(id, .cancelled)
        case .expired(let id): stop(id, .expired)
        case .aborted(let id): stop(id, .aborted)
        case .message(let id, let message): calls[id]?.requests?.deliver(Array(message.readableBytesView))
        case .requestEnded(let id): calls[id]?.requests?.finish()
        case .writable(let id): resumeWriters(id)
        case .closed(let closure): self.closure = closure
        case .pong, .drainAcknowledged: break
        }
    }

    func ended(_ reason: String) {
        core.observer?.connectionClosed(peer: driver.peer, reason: closure?.reason ?? reason)
    }

    /// Takes no new calls, lets those under way end, and closes. Before the handshake is done it closes at once.
    func drain(grace: Duration) {
        guard driver.machine != nil else {
            driver.context?.close(promise: nil)
            return
        }
        driver.machine?.drain("the server is shutting down", grace: WireDuration(grace), now: WireClock.now)
        driver.pump()
    }

    // MARK: A call comes

    private func accept(_ incoming: IncomingCall) {
        guard let peer = driver.peer, let context = driver.context else { return }
        let now = MonotonicInstant.now
        do throws(RPCError) {
            let call = try core.gate.admit(request(incoming, from: peer), tokens: &tokens, now: now)
            let open = OpenCall(call, arrived: WireClock.time(at: incoming.receivedAt))
            let request = Array(incoming.message.readableBytesView)
            if case .sync(let method) = call.entry.method, core.pool == nil || !method.descriptor.needsPool(request.count) {
                runInline(incoming.id, open, method, request, now)
            } else {
                calls[incoming.id] = open
                limit(incoming.id, call.context)
                start(incoming.id, open, request, on: context.eventLoop)
            }
        } catch {
            refuse(incoming, from: peer, error)
        }
    }

    private func request(_ incoming: IncomingCall, from peer: PeerIdentity) -> CallRequest {
        var request = CallRequest(methodID: incoming.method, peer: peer, size: incoming.message.readableBytes)
        request.deadline = incoming.deadline.map { Deadline(WireClock.time(at: $0)) }
        request.lane = Lane(incoming.lane)
        request.kind = CallKind(incoming.kind)
        guard !incoming.metadata.isEmpty else { return request }
        incoming.metadata.forEach { key, value in request.take(key, value) }
        return request
    }

    private func refuse(_ incoming: IncomingCall, from peer: PeerIdentity, _ error: RPCError) {
        driver.machine?.fail(incoming.id, with: WireStatus(error))
        driver.pumpSoon()
        guard let observer = core.observer else { return }
        observer.callRefused(
            CallRefusal(
                methodID: incoming.method, method: core.gate.table[incoming.method]?.descriptor, peer: peer,
                requestID: incoming.metadata.text(.requestID), error: error))
    }

    // MARK: It runs

    private func start(_ id: CallID, _ open: OpenCall, _ request: [UInt8], on loop: any EventLoop) {
        switch open.call.entry.method {
        case .async(let method):
            if let stream = method.stream {
                let parts = streams(id, open, request, on: loop)
                runInTask(id, open, on: loop) { try await stream(parts, $0) }
            } else {
                runInTask(id, open, on: loop) { try await method.run(request, $0) }
            }
        case .sync(let method):
            guard let pool = core.pool else { return runInline(id, open, method, request, .now) }
            queue(id, open, method, request, on: loop, pool)
        }
    }

    /// From the contract's deadline on the call counts as expired, though the client may have named a later one.
    private func limit(_ id: CallID, _ context: CallContext) {
        driver.machine?.limit(id, to: WireClock.instant(at: context.deadline.instant))
    }

    /// SYNC INLINE: a function call, nothing more. Nothing can happen to the call meanwhile, so nobody has to find it.
    private func runInline(
        _ id: CallID, _ open: OpenCall, _ method: SyncMethod, _ request: [UInt8], _ started: MonotonicInstant
    ) {
        core.observer?.callStarted(open.call.context)
        let stay = place?.enter(method.descriptor)
        let result = Result { try method.run(request, open.call.context) }
        if let stay { place?.leave(stay) }
        complete(id, open, .ended(result, started: started, ended: .now))
        if driver.machine?.isOpen(id) == true { limit(id, open.call.context) }
    }

    /// ASYNC: a task on this loop, started in place: until the handler first suspends, no thread changes.
    private func runInTask(
        _ id: CallID, _ open: OpenCall, on loop: any EventLoop,
        _ run: @escaping @Sendable (CallContext) async throws -> [UInt8]
    ) {
        core.observer?.callStarted(open.call.context)
        let started = MonotonicInstant.now
        let session = NIOLoopBound(self, eventLoop: loop)
        let context = open.call.context
        let body: @Sendable () async -> Void = {
            let result = await Self.result { try await context.traced(run) }
            let end = CallEnd.ended(result, started: started, ended: .now)
            if loop.inEventLoop {
                session.value.finish(id, end)
            } else {
                loop.execute { session.value.finish(id, end) }
            }
        }
        // Not in the assignment below: a handler that never suspends has ended, and left `calls`, when this returns.
        let stay = place?.enter(context.method)
        let task = Task.immediate(executorPreference: executor(of: context.method), operation: body)
        if let stay { place?.leave(stay) }
        calls[id]?.task = task
    }

    private func executor(of method: MethodDescriptor) -> LoopExecutor? {
        guard let place else { return executor }
        if let known = watched[method.id] { return known }
        let made = LoopExecutor(place, method)
        watched[method.id] = made
        return made
    }

    private static func result(
        _ body: @Sendable () async throws -> [UInt8]
    ) async -> Result<[UInt8], any Error> {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// SYNC POOL: refused at once, or answered from a worker.
    private func queue(
        _ id: CallID, _ open: OpenCall, _ method: SyncMethod, _ request: [UInt8], on loop: any EventLoop,
        _ pool: CPUPool
    ) {
        let session = NIOLoopBound(self, eventLoop: loop)
        let (context, observer) = (open.call.context, core.observer)
        do throws(CPUPool.Refusal) {
            calls[id]?.ticket = try pool.add(
                method: context.method.id, lane: context.lane, deadline: context.deadline
            ) { turn in
                let end = Self.run(turn, method, request, context, observer)
                loop.execute { session.value.finish(id, end) }
            }
        } catch {
            finish(id, .notStarted(.refused(error, context.method)))
        }
    }

    private static func run(
        _ turn: CPUPool.Turn, _ method: SyncMethod, _ request: [UInt8], _ context: CallContext,
        _ observer: (any ServerObserver)?
    ) -> CallEnd {
        switch turn {
        case .expired: return .notStarted(.deadlineExceeded(context.method, processed: .no))
        case .stopped: return .notStarted(RPCError(.unavailable, "The server is shutting down.", processed: .no))
        case .run:
            observer?.callStarted(context)
            let started = MonotonicInstant.now
            let result = Result { try method.run(request, context) }
            return .ended(result, started: started, ended: .now)
        }
    }

    // MARK: It stops, it ends

    private func stop(_ id: CallID, _ reason: OpenCall.Stop) {
        guard let open = calls[id] else { return }
        calls[id]?.stop = open.stop ?? reason
        let method = open.call.context.method
        if let ticket = open.ticket, core.pool?.remove(ticket) == true {
            return finish(id, .notStarted(reason.error(method, processed: .no)))
        }
        guard method.onCancel == .cancel else { return }
        open.call.context.cancellation.cancel()
        calls[id]?.writers = []
        open.endStreams(reason.error(method, processed: .maybe))
        open.task?.cancel()
    }

    private func finish(_ id: CallID, _ end: CallEnd) {
        guard let open = calls.removeValue(forKey: id) else { return }
        open.endStreams(.streamEnded)
        complete(id, open, end)
    }

    /// Gives the call's place back and its answer to the machine.
    private func complete(_ id: CallID, _ open: OpenCall, _ end: CallEnd) {
        core.leave(open.call)
        let answer = CallAnswer(open, end)
        switch answer.result {
        case .success where open.call.context.method.kind.serverStreams:
            driver.machine?.finish(id, with: answer.timings)
        case .success(let bytes): driver.machine?.succeed(id, message: bytes, with: answer.timings)
        case .failure(let error): driver.machine?.fail(id, with: WireStatus(error))
        }
        if let observer = core.observer { observer.callEnded(answer.record(open.call.context)) }
        driver.pumpSoon()
    }
}

extension MethodDescriptor {
    /// Whether a request of that many bytes is too much work for an event loop.
    fileprivate func needsPool(_ size: Int) -> Bool {
        switch cost {
        case .inline(let limit): size > limit
        case .pool: true
        case nil: false
        }
    }
}
