package import RPCCore

/// Hosts ASYNC services: each call is a task on its connection's event loop.
///
/// Of SYNC services it takes only those that the contract lets both classes host: health, reflection, admin.
package final class AsyncServer: Sendable {
    private let core: ServerCore

    /// - Parameters:
    ///   - hostedByBoth: Health and its like.
    ///   - users: Needed as soon as one method is exposed to USER or ADMIN.
    /// - Throws: `HostingError` when the handlers cannot be hosted together or a limit is out of its bounds.
    package init(
        handlers: [any AsyncServiceHandler], hostedByBoth: [any SyncServiceHandler] = [], tls: TLSIdentity,
        users: (any UserIdentityVerifier)? = nil, observer: (any ServerObserver)? = nil,
        options: ServerOptions = ServerOptions()
    ) throws(HostingError) {
        try Self.check(hostedByBoth)
        let methods = handlers.flatMap(\.asyncMethods).map(HostedMethod.async)
            + hostedByBoth.flatMap(\.syncMethods).map(HostedMethod.sync)
        core = try ServerCore(
            methods: methods,
            contracts: handlers.map { type(of: $0).contract } + hostedByBoth.map { type(of: $0).contract }, tls: tls,
            users: users, observer: observer, options: options, pool: nil, operations: OperationsPool(hostedByBoth))
    }

    /// Nil before `start`.
    package var boundAddress: BoundAddress? { core.boundAddress }
    package var isDraining: Bool { core.isDraining }
    /// Connections, those in their handshake included.
    package var connectionCount: Int { core.connections.count }
    /// A drain has seen the last connection close and waits for handlers that go on.
    package var waitsForHandlers: Bool { core.waitsForHandlers.load(ordering: .relaxed) }
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

    private static func check(_ handlers: [any SyncServiceHandler]) throws(HostingError) {
        for handler in handlers {
            let contract = type(of: handler).contract
            guard contract.hostedByBoth else {
                throw HostingError("\(contract.name) is SYNC: it belongs in a SyncServer, in a process of its own.")
            }
        }
    }
}
