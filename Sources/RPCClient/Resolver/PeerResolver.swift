package import RPCTransport

/// Knows where the servers of one service are, and goes on telling when that changes.
package protocol PeerResolver: Sendable {
    /// For error texts: `127.0.0.1:7101`, `dns:///auth.internal:7101`.
    var description: String { get }
    /// What is known without asking.
    var known: [HostPort] { get }
    /// Begins to look, when the first call needs it; called once. `found` hears of each look from any thread: addresses,
    /// never none of them, or what went wrong; those found before then still hold.
    func start(_ found: @escaping @Sendable (Result<[HostPort], ResolverError>) -> Void)
    /// A connection failed: what was found may be old. Looks again soon, however often it is asked.
    func refresh()
    /// Looks no more.
    func stop()
}

/// Why the servers of a service were not found. One line without a full stop.
package struct ResolverError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Addresses that never change.
package struct StaticResolver: PeerResolver {
    package let known: [HostPort]

    package init(_ addresses: [HostPort]) { known = addresses }

    package var description: String { known.map(\.description).joined(separator: ", ") }
    package func start(_ found: @escaping @Sendable (Result<[HostPort], ResolverError>) -> Void) {}
    package func refresh() {}
    package func stop() {}
}
