/// What a server has to do at this moment.
package struct ServerLoad: Sendable {
    /// Those in their handshake included.
    package let connections: Int
    /// Calls let in and not yet ended, by the method's id.
    package let methods: [(id: UInt32, calls: Int)]
    /// Nil in an ASYNC server.
    package let pool: PoolLoad?

    init(_ core: ServerCore) {
        connections = core.connections.count
        methods = core.gate.table.load
        pool = core.pool?.load
    }
}

/// What a CPU pool has to do at this moment.
package struct PoolLoad: Sendable, Hashable {
    package let workers: Int
    package let running: Int
    package let waiting: Int
    /// Time that all workers have worked, together.
    package let busySeconds: Double
}
