import NIOCore
import NIOPosix
import NIOSSL
import RPCCore
import RPCTransport
import WireCore
import X509

// Peers come, connections to them begin and end; the decisions are `ClientPoolState`'s.
extension ClientPool {
    // MARK: Peers

    /// Begins to look for the servers, once.
    func findPeers() {
        guard state.withLock({ $0.beginResolution() }) else { return }
        resolver.start { [weak self] found in self?.found(found) }
    }

    private func found(_ found: Result<[HostPort], ResolverError>) {
        switch found {
        case .success(let addresses):
            let (gone, attempts) = state.withLock { state in
                (state.update(addresses, now: .now), state.demand(now: .now))
            }
            for connection in gone { connection.run { $0.shutdown() } }
            begin(attempts)
        case .failure(let error):
            let hopeless = state.withLock { state in
                state.resolutionFailed(error.description)
                return state.impatient()
            }
            for call in hopeless { call.end(.failure(noConnection(call))) }
        }
    }

    // MARK: Connections

    func begin(_ attempts: [ConnectionAttempt]) {
        for attempt in attempts { connect(attempt) }
        scheduleRetry()
    }

    private func connect(_ attempt: ConnectionAttempt) {
        let timeout = WireDuration(options.connectTimeout).nanoseconds
        ClientBootstrap(group: loops[attempt.attempt.slot % loops.count])
            .connectTimeout(.nanoseconds(Int64(clamping: timeout)))
            .channelOption(.writeBufferWaterMark, value: ChannelBuffers.writes)
            .channelOption(.recvAllocator, value: ChannelBuffers.reads)
            .channelOption(.maxMessagesPerRead, value: ChannelBuffers.readsInARow)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel, attempt) }
            }
            .connect(host: attempt.address.host, port: attempt.address.port)
            .whenFailure { [self] error in failed(attempt, TransportFailure.text(error)) }
    }

    private func prepare(_ channel: any Channel, _ attempt: ConnectionAttempt) throws {
        guard !state.withLock({ $0.isClosing }) else { throw HandshakeError("the client is shutting down") }
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
        resolver.refresh()
        begin(attempts)
    }

    /// A connection has served: the next failure is the first again.
    func proved(_ peer: PeerID) { state.withLock { $0.proved(peer) } }

    func failed(_ attempt: ConnectionAttempt, _ reason: String) {
        let hopeless = state.withLock { state in
            var random = SystemRandomNumberGenerator()
            state.failed(attempt, reason, now: .now, using: &random)
            return state.impatient()
        }
        for call in hopeless { call.end(.failure(noConnection(call))) }
        resolver.refresh()
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
}
