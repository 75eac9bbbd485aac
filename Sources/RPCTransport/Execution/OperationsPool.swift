import RPCCore

/// The thread for questions of the operator, in servers of both classes: what they run there may wait for event loops,
/// and waits for no other work.
struct OperationsPool: Sendable {
    /// Questions that may wait.
    static let capacity = 16

    let pool = CPUPool(workers: 1, capacity: OperationsPool.capacity)
    /// Ids of the methods that it runs.
    let methods: Set<UInt32>

    /// Nil when none of the handlers needs it: only what the contract lets both classes host may.
    init?(_ handlers: [any SyncServiceHandler]) {
        let methods = handlers.filter { type(of: $0).contract.hostedByBoth }.flatMap(\.syncMethods)
            .filter { $0.descriptor.cost == .pool }
        guard !methods.isEmpty else { return nil }
        self.methods = Set(methods.map(\.descriptor.id))
    }
}

extension MethodDescriptor {
    /// Whether a request of that many bytes is too much work for an event loop.
    func needsPool(_ size: Int) -> Bool {
        switch cost {
        case .inline(let limit): size > limit
        case .pool: true
        case nil: false
        }
    }
}
