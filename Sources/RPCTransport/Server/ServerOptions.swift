package import NIOCore
import NIOPosix
package import RPCCore
package import WireCore

/// Where a server listens and how much it takes on.
package struct ServerOptions: Sendable {
    package var host = "127.0.0.1"
    /// 0 for any that is free.
    package var port = 0
    /// The event loops that serve connections; shared with the process's clients, so that calls need not change thread.
    package var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    /// A stream's writer may be half of a client's credit ahead, so that it sleeps as seldom as its reader.
    package var limits = WireLimits.defaults { limits in
        limits.streamBuffer = 512 * 1024
        ConnectionLife().apply(toServer: &limits)
    }
    /// `limits.callCredit` at least, in a server without streams: what it holds of requests is bounded by `limits.maxReassembly`
    /// whatever their credit is, and each time the credit is used up costs two wake-ups. Up to `limits.connectionCredit`.
    package var unaryCallCredit: UInt32 = 512 * 1024
    /// One more is closed as soon as it is accepted.
    package var maximumConnections = 1024
    /// For TLS alone; `limits.handshakeTimeout` is for the first frame after it.
    package var handshakeTimeout = Duration.seconds(5)
    /// How long calls under way may take to end once the server drains; `limits.drainGrace` is for single connections.
    package var drainGrace = Duration.seconds(10)
    /// Calls at once, over all methods and connections.
    package var admission = AdmissionLimit.fixed(CallGate.defaultConcurrency)
    /// Threads for SYNC methods that cost POOL, in a `SyncServer`; as many as there are cores when nil.
    package var poolWorkers: Int?
    /// Jobs that may wait for such a thread.
    package var poolQueue = CPUPool.defaultCapacity
    /// How long routine calls that run on an event loop may have to wait for it; who would wait longer is refused.
    package var longestLoopWait = LoopQueue.longestWait
    /// How these threads give way to event loops.
    package var poolScheduling = Scheduling.standard
    /// Asked about each call before it takes a place, in their order.
    package var interceptors: [any CallInterceptor] = []
    /// Sees into the server, when somebody is to.
    package var inspector: ServerInspector?
    /// Watches which handlers hold their event loop, when somebody is to.
    package var loopWatch: LoopWatch?

    /// Those of its connections.
    func limits(acceptsStreams: Bool) -> WireLimits {
        guard !acceptsStreams else { return limits }
        var limits = limits
        limits.callCredit = max(limits.callCredit, min(unaryCallCredit, limits.connectionCredit))
        return limits
    }

    package init(host: String = "127.0.0.1", port: Int = 0) {
        self.host = host
        self.port = port
    }
}

/// Where a server listens.
package struct BoundAddress: Sendable, Hashable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package var description: String { "\(host):\(port)" }
}

/// Why a server does not listen.
package struct ServerStartError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// - Parameter address: Where it was to listen.
    package init(address: String, _ error: any Error) {
        description = "cannot listen on \(address): \(TransportFailure.text(error))"
    }
}
