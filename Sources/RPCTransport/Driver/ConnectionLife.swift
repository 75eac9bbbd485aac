package import WireCore

/// How long connections live and when they count as dead: the same for those that call and those that are called, so
/// that the two do not differ unless somebody wants them to.
package struct ConnectionLife: Sendable, Hashable {
    /// How long a server keeps a connection, give or take a tenth.
    package var maxAge = Duration.seconds(1800)
    /// How long a client keeps a connection without calls. A server waits twice as long: who needs a connection no
    /// longer ends it.
    package var idleTimeout = Duration.seconds(600)
    /// How long calls may take to end on a connection that a server drains.
    package var grace = Duration.seconds(60)
    /// After how much silence PING is sent; longer where the other side asks for it.
    package var keepalive = Duration.seconds(10)
    /// How long the other side may then be silent.
    package var keepaliveTimeout = Duration.seconds(5)

    package init() {}

    package func apply(toServer limits: inout WireLimits) {
        apply(to: &limits)
        limits.maxAge = WireDuration(maxAge)
        limits.idleTimeout = WireDuration(idleTimeout * 2)
    }

    package func apply(toClient limits: inout WireLimits) {
        apply(to: &limits)
        limits.idleTimeout = WireDuration(idleTimeout)
    }

    private func apply(to limits: inout WireLimits) {
        limits.drainGrace = WireDuration(grace)
        limits.keepaliveInterval = WireDuration(keepalive)
        limits.keepaliveTimeout = WireDuration(keepaliveTimeout)
    }
}
