import NIOCore
import RPCCore
import WireCore

/// One connection of a server: takes calls from the machine, has them run, and gives their answers back.
///
/// Lives on its event loop. Every call that `accept` lets in ends in exactly one `finish`, whichever thread ran it.
final class ServerSession: WireSession {
    let driver: WireDriver
    /// Nil until the handshake is done.
    var machine: ServerConnection?
    private let core: ServerCore
    private let work: LoopQueue
    private var tokens = UserTokenCache()
    var calls = CallTable<OpenCall>()
    /// When TLS was done.
    private(set) var openedAt: MonotonicInstant?
    /// Calls that came, those that were refused included.
    private(set) var totalCalls: UInt64 = 0
    private var closure: WireClosure?
    /// The identity's generation when this connection began.
    private let trust: Int
    /// What the clock said when it was last looked at: what is done at once after that begins then.
    private var now = MonotonicInstant.now
    private lazy var executor = driver.context.map { LoopExecutor($0.eventLoop) }
    /// This loop's place in the watch, and executors that say for whom they run; neither without a watch.
    private lazy var place = driver.context.flatMap { core.options.loopWatch?.place(of: $0.eventLoop) }
    private var watched: [UInt32: LoopExecutor] = [:]

    /// - Parameter work: What waits on this connection's event loop.
    init(core: ServerCore, work: LoopQueue) {
        self.core = core
        self.trust = core.tls.generation
        self.work = work
        self.driver = WireDriver(handshakeTimeout: core.options.handshakeTimeout)
        driver.session = self
    }

    // MARK: The machine

    func open(_ peer: PeerIdentity, now: WireInstant) throws {
        var random = SystemRandomNumberGenerator()
        machine = try ServerConnection(
            limits: core.limits.varied(using: &random), fingerprints: core.fingerprints,
            requestLimits: core.requestLimits, acceptsStreams: core.acceptsStreams, now: now)
    }

    var isCongested: Bool { machine?.isCongested ?? false }
    var isClosed: Bool { machine?.isClosed ?? false }
    var nextTimeout: WireInstant? { machine?.nextTimeout() }
    func receive(_ bytes: ByteBuffer, now: WireInstant) { machine?.receive(bytes, now: now) }
    func takeOutbound() -> ByteBuffer? { machine?.takeOutbound() }
    func handleTimeout(now: WireInstant) { machine?.handleTimeout(now: now) }
    func connectionClosed(now: WireInstant) { machine?.connectionClosed(now: now) }

    func handleEvents() {
        now = .now
        while let event = machine?.nextEventInTurn() { handle(event) }
    }

    // MARK: The connection

    private func handle(_ event: ServerConnection.Event) {
        switch event {
        case .established: establish()
        case .call(let call): accept(call)
        // Many of them in one read take their time: calls behind them are judged by a clock that knows.
        case .cancelled(let id): stop(id, .cancelled); now = .now
        case .expired(let id): stop(id, .expired); now = .now
        case .aborted(let id): stop(id, .aborted)
        case .message(let id, let message): calls[id]?.requests?.deliver(message.array)
        case .requestEnded(let id): calls[id]?.requests?.finish()
        case .writable(let id): resumeWriters(id)
        case .closed(let closure): self.closure = closure
        case .pong, .drainAcknowledged: break
        }
    }

    private func establish() {
        openedAt = .now
        if let peer = driver.peer { core.observer?.connectionOpened(peer: peer) }
        // Nobody could drain it while its handshake went on.
        if trust != core.tls.generation { drainIfDistrusted() }
    }

    /// Drains when the authority of the client's certificate is not believed any more.
    func drainIfDistrusted() {
        guard let certificate = driver.peerCertificate, !core.tls.accepts(certificate) else { return }
        machine?.drain("the certificate is no longer believed", now: WireClock.now)
        driver.pump()
    }

    func ended(_ reason: String) {
        core.observer?.connectionClosed(peer: driver.peer, reason: closure?.reason ?? reason)
    }

    /// Takes no new calls, lets those under way end, and closes. Before the handshake is done it closes at once.
    func drain(grace: Duration) {
        guard machine != nil else {
            driver.context?.close(promise: nil)
            return
        }
        machine?.drain("the server is shutting down", grace: WireDuration(grace), now: WireClock.now)
        driver.pump()
    }

    // MARK: A call comes

    private func accept(_ incoming: IncomingCall) {
        guard let peer = driver.peer else { return }
        totalCalls += 1
        do throws(RPCError) {
            let call = try core.gate.admit(request(incoming, from: peer), tokens: &tokens, now: now)
            dispatch(incoming.id, call, arrived: WireClock.time(at: incoming.receivedAt), incoming.message)
        } catch {
            refuse(incoming, from: peer, error)
        }
    }

    /// Has an admitted call run now, or wait.
    private func dispatch(_ id: CallID, _ call: AdmittedCall, arrived: MonotonicInstant, _ request: MessageBody) {
        let waited = WireDuration(nanoseconds: now.nanoseconds(since: arrived))
        if !work.isFree(for: call.context.lane, waited: waited), isForLoop(call.entry.method, request) {
            // Not the memory of all that was read together with it: it may wait for long.
            wait(id, OpenCall(call, arrived: arrived), .bytes(request.array))
        } else if call.context.lane == .emergency, !work.isEmpty {
            work.runAhead { begin(id, call, arrived: arrived, request) }
        } else {
            begin(id, call, arrived: arrived, request)
        }
    }

    private func request(_ incoming: IncomingCall, from peer: PeerIdentity) -> CallRequest {
        var request = CallRequest(methodID: incoming.method, peer: peer, size: incoming.message.count)
        request.deadline = incoming.deadline.map { Deadline(WireClock.time(at: $0)) }
        request.lane = Lane(incoming.lane)
        request.kind = CallKind(incoming.kind)
        Self.take(incoming.metadata, into: &request)
        return request
    }

    private static func take(_ metadata: WireMetadata, into request: inout CallRequest) {
        metadata.forEach { key, value in request.take(key, value) }
    }

    private func refuse(_ incoming: IncomingCall, from peer: PeerIdentity, _ error: RPCError) {
        machine?.fail(incoming.id, with: WireStatus(error))
        driver.pumpSoon()
        now = .now
        guard let observer = core.observer else { return }
        observer.callRefused(
            CallRefusal(
                methodID: incoming.method, method: core.gate.table[incoming.method]?.descriptor, peer: peer,
                requestID: incoming.metadata.text(.requestID), error: error))
    }

    // MARK: It runs

    /// Whether the call is work for this loop that can wait its turn: none for the pool, which has a queue of its own,
    /// and no stream, whose messages are not to come before it.
    private func isForLoop(_ method: HostedMethod, _ request: MessageBody) -> Bool {
        switch method {
        case .sync(let method): core.pool(for: method.descriptor, size: request.count) == nil
        case .async(let method): method.stream == nil
        }
    }

    private func begin(_ id: CallID, _ call: AdmittedCall, arrived: MonotonicInstant, _ request: MessageBody) {
        if case .sync(let method) = call.entry.method,
            core.pool(for: method.descriptor, size: request.count) == nil
        {
            runInline(id, call, arrived: arrived, method, request)
        } else {
            let open = OpenCall(call, arrived: arrived)
            calls[id] = open
            limit(id, open.call.context)
            start(id, open, request, on: work.loop)
            if calls.contains(id) { now = .now }
        }
    }

    /// Has the call wait for a later turn of this loop, or refuses it.
    private func wait(_ id: CallID, _ open: OpenCall, _ request: MessageBody) {
        var open = open
        let context = open.call.context
        do throws(QueueRefusal) {
            open.ticket = .loop(try work.add(context, now: now) { [self] turn in take(turn, id, request) })
            calls[id] = open
            limit(id, context)
        } catch {
            complete(id, open.call, arrived: open.arrived, .notStarted(.refused(error, context.method)))
        }
        now = .now
    }

    private func take(_ turn: CPUPool.Turn, _ id: CallID, _ request: MessageBody) {
        guard var open = calls[id] else { return }
        open.ticket = nil
        if let refusal = turn.refusal(open.call.context.method) { return finish(id, .notStarted(refusal)) }
        calls[id] = nil
        now = .now
        begin(id, open.call, arrived: open.arrived, request)
    }

    private func start(_ id: CallID, _ open: OpenCall, _ request: MessageBody, on loop: any EventLoop) {
        switch open.call.entry.method {
        case .async(let method):
            let work: HandlerTask.Work =
                if let stream = method.stream {
                    .stream(stream, streams(id, open, request.array, on: loop))
                } else {
                    .message(method.run, request.array)
                }
            runInTask(id, open, on: loop, work)
        case .sync(let method):
            guard let pool = core.pool(of: method.descriptor) else {
                calls[id] = nil
                return runInline(id, open.call, arrived: open.arrived, method, request)
            }
            queue(id, open, method, request.compacted, on: loop, pool)
        }
    }

    /// From the contract's deadline on the call counts as expired, though the client may have named a later one.
    private func limit(_ id: CallID, _ context: CallContext) {
        machine?.limit(id, to: WireClock.instant(at: context.deadline.instant))
    }

    /// SYNC INLINE: a function call, nothing more. Nothing can happen to the call meanwhile, so nobody has to find it.
    private func runInline(
        _ id: CallID, _ call: AdmittedCall, arrived: MonotonicInstant, _ method: SyncMethod, _ request: MessageBody
    ) {
        let started = now
        core.observer?.callStarted(call.context)
        let stay = place?.enter(method.descriptor)
        let result = Result { try request.withSpan { try method.run($0, call.context) } }
        if let stay { place?.leave(stay) }
        now = .now
        complete(id, call, arrived: arrived, .ended(result, started: started, ended: now))
        // A large answer may be on its way for long.
        limit(id, call.context)
    }

    /// ASYNC: a task on this loop, started in place: until the handler first suspends, no thread changes.
    private func runInTask(_ id: CallID, _ open: OpenCall, on loop: any EventLoop, _ work: HandlerTask.Work) {
        core.observer?.callStarted(open.call.context)
        let run = HandlerTask(id, work, open.call.context, NIOLoopBound(self, eventLoop: loop), loop, started: .now)
        // Not in the assignment below: a handler that never suspends has ended, and left `calls`, when this returns.
        let stay = place?.enter(open.call.context.method)
        let task = Task.immediate(executorPreference: executor(of: open.call.context.method)) { await run.body() }
        if let stay { place?.leave(stay) }
        if calls.contains(id) { calls[id]?.task = task }
    }

    private func executor(of method: MethodDescriptor) -> LoopExecutor? {
        guard let place else { return executor }
        if let known = watched[method.id] { return known }
        let made = LoopExecutor(place, method)
        watched[method.id] = made
        return made
    }

    /// SYNC POOL: refused at once, or answered from a worker.
    private func queue(
        _ id: CallID, _ open: OpenCall, _ method: SyncMethod, _ request: MessageBody, on loop: any EventLoop,
        _ pool: CPUPool
    ) {
        let session = NIOLoopBound(self, eventLoop: loop)
        let (context, observer) = (open.call.context, core.observer)
        do throws(QueueRefusal) {
            calls[id]?.ticket = .pool(
                try pool.add(method: context.method.id, lane: context.lane, deadline: context.deadline) { turn in
                    let end = Self.run(turn, method, request, context, observer)
                    loop.execute { session.value.finish(id, end) }
                })
        } catch {
            finish(id, .notStarted(.refused(error, context.method)))
        }
    }

    private static func run(
        _ turn: CPUPool.Turn, _ method: SyncMethod, _ request: MessageBody, _ context: CallContext,
        _ observer: (any ServerObserver)?
    ) -> CallEnd {
        if let refusal = turn.refusal(context.method) { return .notStarted(refusal) }
        observer?.callStarted(context)
        let started = MonotonicInstant.now
        let result = Result { try request.withSpan { try method.run($0, context) } }
        return .ended(result, started: started, ended: .now)
    }

    func isQueued(_ ticket: OpenCall.Ticket, _ method: MethodDescriptor) -> Bool {
        switch ticket {
        case .pool(let id): core.pool(of: method)?.isWaiting(id) == true
        case .loop: true
        }
    }

    // MARK: It stops, it ends

    private func stop(_ id: CallID, _ reason: OpenCall.Stop) {
        guard let open = calls[id] else { return }
        calls[id]?.stop = open.stop ?? reason
        let method = open.call.context.method
        if let ticket = open.ticket, remove(ticket, method) {
            return finish(id, .notStarted(reason.error(method, processed: .no)))
        }
        guard method.onCancel == .cancel else { return }
        open.call.context.cancellation.cancel()
        calls[id]?.writers = []
        open.endStreams(reason.error(method, processed: .maybe))
        open.task?.cancel()
    }

    /// Takes a waiting call out; false when it runs already.
    private func remove(_ ticket: OpenCall.Ticket, _ method: MethodDescriptor) -> Bool {
        switch ticket {
        case .pool(let id): core.pool(of: method)?.remove(id) ?? false
        case .loop(let id): work.remove(id)
        }
    }

    func finish(_ id: CallID, _ end: CallEnd) {
        guard let open = calls.removeValue(forKey: id) else { return }
        if open.call.context.method.kind.streams { open.endStreams(.streamEnded) }
        if case .ended(_, _, let ended) = end { now = max(now, ended) } else { now = .now }
        complete(id, open.call, arrived: open.arrived, end, stop: open.stop)
    }

    /// Gives the call's place back and its answer to the machine.
    ///
    /// - Parameter stop: Why the handler was asked to stop, if it was.
    private func complete(
        _ id: CallID, _ call: AdmittedCall, arrived: MonotonicInstant, _ end: CallEnd, stop: OpenCall.Stop? = nil
    ) {
        core.leave(call, ran: end.run(since: arrived))
        let answer = CallAnswer(call.context, arrived: arrived, end, stop)
        switch answer.result {
        case .success where call.context.method.kind.serverStreams:
            machine?.finish(id, with: answer.timings)
        case .success(let bytes): machine?.succeed(id, message: bytes, with: answer.timings)
        case .failure(let error): machine?.fail(id, with: WireStatus(error, answer.timings))
        }
        if let observer = core.observer { observer.callEnded(answer.record(call.context)) }
        driver.pumpSoon()
    }
}
