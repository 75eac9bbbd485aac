package import RPCCore
package import WireCore

/// A server's counts and limits.
package struct ServerSummary: Sendable {
    package let isDraining: Bool
    package let connections: Int
    package let maximumConnections: Int
    package let calls: Int
    package let maximumCalls: Int
    package let drainGrace: Duration
    /// What HELLO says.
    package let limits: WireLimits
    /// Nil in an ASYNC server.
    package let pool: PoolReport?
    package let methods: [MethodReport]

    init(_ core: ServerCore) {
        isDraining = core.isDraining
        connections = core.connections.count
        maximumConnections = core.options.maximumConnections
        calls = core.gate.openCalls
        maximumCalls = core.gate.places
        drainGrace = core.options.drainGrace
        limits = core.limits
        pool = core.pool?.report
        methods = core.gate.table.all.map {
            MethodReport(method: $0.descriptor, running: $0.openCalls)
        }
    }
}

/// A method and how many of its calls are under way.
package struct MethodReport: Sendable {
    package let method: MethodDescriptor
    package let running: Int
}

/// What a CPU pool has to do.
package struct PoolReport: Sendable, Hashable {
    package let workers: Int
    package let running: Int
    package let waitingRoutine: Int
    package let waitingEmergency: Int
    /// Jobs that may wait.
    package let capacity: Int
    /// Time that all workers have worked, together.
    package let busy: Duration

    package var waiting: Int { waitingRoutine + waitingEmergency }
}

/// What one event loop has.
package struct LoopReport: Sendable {
    package let number: Int
    /// It turned to the question in time.
    package let answers: Bool
    /// How long that took, or how long it has not.
    package let delay: Duration
    /// Empty when it did not answer.
    package let connections: [ConnectionReport]
    /// Also known when it did not.
    package let connectionCount: Int

    package var calls: Int { connections.reduce(0) { $0 + $1.calls.count } }
}

/// One connection.
package struct ConnectionReport: Sendable {
    /// Nil in the handshake.
    package let peer: PeerIdentity?
    /// `127.0.0.1:40022`; empty when the system does not tell.
    package let address: String
    /// Since TLS was done; nil in the handshake.
    package let age: Duration?
    /// Since the last byte came; nil when none has.
    package let silence: Duration?
    /// Calls so far.
    package let totalCalls: UInt64
    package let loop: Int
    package let calls: [CallReport]
}

/// One call under way.
package struct CallReport: Sendable {
    package enum State: Sendable, Hashable {
        /// Waits for a worker.
        case queued
        case running
        /// Was cancelled or is late, and has not ended yet.
        case stopping
    }

    package let context: CallContext
    package let age: Duration
    package let state: State
}
