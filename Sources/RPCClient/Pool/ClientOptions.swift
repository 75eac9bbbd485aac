package import NIOCore
import NIOPosix
import RPCTransport
package import WireCore

/// How a client reaches one service.
package struct ClientOptions: Sendable {
    /// The event loops of its connections. With the server's own group, calls made by a handler need not change thread.
    package var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    /// Connections at most to each server; one for each event loop, `mostConnections` at most, when nil. All are opened
    /// when the first call comes.
    package var connections: Int?
    /// A stream has more credit here than at a server: what reaches a client is bounded by its own calls, and each time
    /// the credit is used up costs two wake-ups.
    package var limits = WireLimits.defaults { limits in
        limits.callCredit = 1024 * 1024
        ConnectionLife().apply(toClient: &limits)
    }
    /// For the TCP connection alone.
    package var connectTimeout = Duration.seconds(2)
    /// For TLS alone; `limits.handshakeTimeout` is for the first frame after it.
    package var handshakeTimeout = Duration.seconds(5)
    package var backoff = Backoff()
    /// How long calls under way may take to end at `shutdown`.
    package var shutdownGrace = Duration.seconds(5)
    /// Calls that may wait for a connection or a free slot; one more is refused.
    package var maximumWaiting = 10_000
    /// Whether a call without a connection waits for one until its deadline, or fails with the first attempt. Each call
    /// may say otherwise.
    package var waitForReady = true
    /// How often calls are tried again.
    package var retry = RetryOptions()
    /// Sends a unary call without side effects once more, to another server where there is one, when it has had no
    /// answer for so long: near the 95th percentile is a good choice. Nil: never. Each call may say otherwise.
    package var hedgeDelay: Duration?
    /// When one of several servers is taken out of use.
    package var outliers = OutlierOptions()

    /// The default of `connections` never exceeds it.
    package static let mostConnections = 4

    package init(connections: Int? = nil) { self.connections = connections }
}
