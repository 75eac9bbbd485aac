import Dispatch
import NIOCore
import NIOPosix
import NIOSSL
import RPCCore
import Synchronization
import WireCore

/// What `SyncServer` and `AsyncServer` have in common: the listener and the life of the process around it.
final class ServerCore: TrustObserver {
    let gate: CallGate
    let tls: TLSIdentity
    let observer: (any ServerObserver)?
    let options: ServerOptions
    /// Only SYNC servers have one.
    let pool: CPUPool?
    /// For what the contract lets both classes host and calls POOL: the operator is answered however busy the pool is.
    let operations: OperationsPool?
    let fingerprints: [ServiceFingerprint]
    let requestLimits: [UInt32: UInt32]
    /// A method streams.
    let acceptsStreams: Bool
    /// Of each connection.
    let limits: WireLimits
    let connections: ConnectionRegistry
    private let stopping = Latch()
    /// False once a drain has seen the last connection close.
    private let takesCalls = Atomic(true)
    /// All connections are gone, and a drain has nothing left to wait for but handlers.
    let waitsForHandlers = Atomic(false)
    /// A drain need not wait for handlers any more.
    private let idle = Latch()
    private let listener = Mutex<(any Channel)?>(nil)
    /// What waits on each event loop.
    private let queues = Mutex<[ObjectIdentifier: NIOLoopBound<LoopQueue>]>([:])

    /// How much longer than its grace a drain may take before connections are cut.
    private static let cutDelay = Duration.seconds(1)
    private static let backlog: CInt = 1024

    init(
        methods: [HostedMethod], contracts: [ServiceDescriptor], tls: TLSIdentity,
        users: (any UserIdentityVerifier)?, observer: (any ServerObserver)?, options: ServerOptions, pool: CPUPool?,
        operations: OperationsPool? = nil
    ) throws(HostingError) {
        self.gate = try CallGate(
            methods, users: users, tracing: observer?.tracing, interceptors: options.interceptors, limit: options.admission)
        self.tls = tls
        self.observer = observer
        self.options = options
        self.pool = pool
        self.operations = operations
        self.fingerprints = contracts.map { ServiceFingerprint(service: $0.name, fingerprint: $0.fingerprint) }
        self.requestLimits = Dictionary(
            methods.map { ($0.descriptor.id, UInt32(clamping: $0.descriptor.requestLimit)) }, uniquingKeysWith: max)
        self.acceptsStreams = methods.contains { $0.descriptor.kind.streams }
        self.limits = options.limits(acceptsStreams: acceptsStreams)
        self.connections = ConnectionRegistry(limit: options.maximumConnections)
        do {
            _ = try ServerConnection(limits: limits, fingerprints: fingerprints, now: WireClock.now)
        } catch {
            throw HostingError("The server's limits: \(error).")
        }
        options.inspector?.attach(self)
        tls.observe(self)
    }

    var isDraining: Bool { stopping.isOpen }

    /// Where a request of that many bytes runs; nil for its connection's event loop.
    func pool(for method: MethodDescriptor, size: Int) -> CPUPool? {
        guard method.needsPool(size) else { return nil }
        return pool(of: method)
    }

    func pool(of method: MethodDescriptor) -> CPUPool? {
        if let operations, operations.methods.contains(method.id) { return operations.pool }
        return pool
    }

    var boundAddress: BoundAddress? {
        listener.withLock { $0?.localAddress }.map { BoundAddress(host: options.host, port: $0.port ?? 0) }
    }

    // MARK: Life

    func start() async throws -> BoundAddress {
        if let boundAddress { return boundAddress }
        try pool?.start()
        try operations?.pool.start()
        let channel = try await bind()
        listener.withLock { $0 = channel }
        return BoundAddress(host: options.host, port: channel.localAddress?.port ?? options.port)
    }

    func run() async throws {
        _ = try await start()
        await withTaskCancellationHandler {
            await stopping.wait()
        } onCancel: {
            shutdown()
        }
        await drain()
    }

    func shutdown() { stopping.open() }

    /// Closes the listener first, so that new connections go elsewhere; then lets every connection end by itself, and
    /// every handler, also one whose connection is gone: what it works with is closed after this.
    private func drain() async {
        try? await listener.withLock { $0 }?.close().get()
        connections.drain(grace: options.drainGrace)
        let cut = options.group.next().scheduleTask(in: .nanoseconds(wait)) { [connections, idle] in
            connections.cut()
            idle.open()
        }
        await connections.waitUntilEmpty()
        takesCalls.store(false, ordering: .sequentiallyConsistent)
        openIfIdle()
        waitsForHandlers.store(true, ordering: .relaxed)
        await idle.wait()
        waitsForHandlers.store(false, ordering: .relaxed)
        cut.cancel()
        for pool in [pool, operations?.pool].compactMap({ $0 }) { await Self.stop(pool) }
    }

    /// Gives a call's place back, and lets a drain go on that waited for the last one.
    func leave(_ call: AdmittedCall, ran: @autoclosure () -> (latency: Duration, ended: MonotonicInstant)?) {
        gate.leave(call, ran: ran())
        openIfIdle()
    }

    private func openIfIdle() {
        if !takesCalls.load(ordering: .sequentiallyConsistent), gate.openCalls == 0 { idle.open() }
    }

    private var wait: Int64 {
        Int64(clamping: WireDuration(options.drainGrace + Self.cutDelay).nanoseconds)
    }

    /// Joining threads blocks, so a thread does it that may wait.
    private static func stop(_ pool: CPUPool) async {
        await withCheckedContinuation { done in
            DispatchQueue.global().async {
                pool.stop()
                done.resume()
            }
        }
    }

    // MARK: Listening

    private func bind() async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: options.group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: ChannelBuffers.writes)
            .childChannelOption(.recvAllocator, value: ChannelBuffers.reads)
            .childChannelOption(.maxMessagesPerRead, value: ChannelBuffers.readsInARow)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
        do {
            return try await bootstrap.bind(host: options.host, port: options.port).get()
        } catch {
            throw ServerStartError(address: "\(options.host):\(options.port)", error)
        }
    }

    /// Connections to peers that are no longer believed drain.
    func trustChanged() { connections.forEach { $0.drainIfDistrusted() } }

    /// On that loop.
    private func queue(of loop: any EventLoop) -> LoopQueue {
        queues.withLock { queues in
            let id = ObjectIdentifier(loop)
            if let known = queues[id] { return known }
            let queue = NIOLoopBound(LoopQueue(loop, longestWait: options.longestLoopWait), eventLoop: loop)
            queues[id] = queue
            return queue
        }.value
    }

    private func accept(_ channel: any Channel) throws {
        let session = ServerSession(core: self, work: queue(of: channel.eventLoop))
        do {
            guard connections.add(channel, session) else { throw HandshakeError("too many connections") }
            let handlers = channel.pipeline.syncOperations
            try handlers.addHandlers([NIOSSLServerHandler(context: tls.serverContext), session.driver])
        } catch {
            // No channel will let go of the driver, so it is told here to forget the session.
            session.driver.session = nil
            throw error
        }
    }
}
