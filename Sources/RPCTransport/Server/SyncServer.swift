package import RPCCore

/// Hosts SYNC services only: plain functions, on the event loop or on a CPU pool of its own.
///
/// Its handlers cannot suspend, and it links no client for them to wait for.
package final class SyncServer: Sendable {
    private let core: ServerCore

    /// - Parameter users: Needed as soon as one method is exposed to USER or ADMIN.
    /// - Throws: `HostingError` when the handlers cannot be hosted together or a limit is out of its bounds.
    package init(
        handlers: [any SyncServiceHandler], tls: TLSIdentity, users: (any UserIdentityVerifier)? = nil,
        observer: (any ServerObserver)? = nil, options: ServerOptions = ServerOptions()
    ) throws(HostingError) {
        core = try ServerCore(
            methods: handlers.flatMap(\.syncMethods).map(HostedMethod.sync),
            contracts: handlers.map { type(of: $0).contract }, tls: tls, users: users, observer: observer,
            options: options,
            pool: CPUPool(
                workers: options.poolWorkers, capacity: options.poolQueue, scheduling: options.poolScheduling),
            operations: OperationsPool(handlers))
    }

    /// Nil before `start`.
    package var boundAddress: BoundAddress? { core.boundAddress }
    package var isDraining: Bool { core.isDraining }
    /// Connections, those in their handshake included.
    package var connectionCount: Int { core.connections.count }
    /// What it hosts.
    package var methods: [MethodDescriptor] { core.gate.table.descriptors }
    /// What it has to do now.
    package var summary: ServerSummary { ServerSummary(core) }
    /// Calls under way.
    package var openCalls: Int { core.gate.openCalls }

    /// Listens. `run` does it too when it has not been done.
    ///
    /// - Throws: `ServerStartError` that names the address.
    @discardableResult
    package func start() async throws -> BoundAddress { try await core.start() }

    /// Serves until the task is cancelled or `shutdown` is called; then drains, for `drainGrace` at most, and returns.
    package func run() async throws { try await core.run() }

    /// Begins the drain. `run` returns when it is done.
    package func shutdown() { core.shutdown() }
}
