import RPCCore
package import RPCTransport
import WireCore

/// Our own implementation as a server of the conformance services: under test, or the other end of a client's tests.
package final class ReferenceServer: Sendable {
    private enum Kind {
        case async(AsyncServer)
        case sync(SyncServer)
    }

    /// Calls at once when nobody says.
    private static let concurrency = 8192

    package let tallies: Tallies
    private let tls: TLSIdentity
    private let kind: Kind
    private let serving: Task<Void, any Error>
    package let address: BoundAddress

    /// - Parameter fault: A mutant's, for tests of the harness itself.
    package init(_ start: ConformanceStartServer, fault: Mutant = .none) async throws {
        let tls = try TLSIdentity(start.credentials)
        let tallies = Tallies(fault: fault)
        (self.tls, self.tallies) = (tls, tallies)
        let forwarder = Forwarder(tls: tls)
        var options = ServerOptions(start)
        fault.plant(in: &options)
        if start.sync {
            let handler = ConformanceSyncHandler(tallies: tallies, forwarder: forwarder)
            let server = try SyncServer(
                handlers: [handler], tls: tls, observer: ConnectionCounter(tallies: tallies), options: options)
            kind = .sync(server)
            address = try await server.start()
            serving = Task { try await server.run() }
        } else {
            let handler = ConformanceHandler(tallies: tallies, forwarder: forwarder)
            let server = try AsyncServer(
                handlers: [handler], tls: tls, observer: ConnectionCounter(tallies: tallies), options: options)
            kind = .async(server)
            address = try await server.start()
            serving = Task { try await server.run() }
        }
    }

    /// Reads the files of its credentials again.
    func reload() throws { _ = try tls.reload() }

    /// Begins the drain; returns when it is over.
    package func drain() async throws {
        switch kind {
        case .async(let server): server.shutdown()
        case .sync(let server): server.shutdown()
        }
        try await serving.value
    }

    private struct ConnectionCounter: ServerObserver {
        let tallies: Tallies

        func connectionOpened(peer: PeerIdentity) { tallies.connectionOpened() }
        func connectionClosed(peer: PeerIdentity?, reason: String) { if peer != nil { tallies.connectionClosed() } }
    }
}

extension ServerOptions {
    init(_ start: ConformanceStartServer) {
        self.init(host: "127.0.0.1", port: 0)
        limits.apply(start.limits, start.timers)
        // The wire is tested here, on any machine, and not how many calls it can bear.
        longestLoopWait = .seconds(60)
        if start.timers.handshakeMs > 0 { handshakeTimeout = .milliseconds(start.timers.handshakeMs) }
        if start.timers.drainGraceMs > 0 { drainGrace = .milliseconds(start.timers.drainGraceMs) }
        if start.concurrency > 0 { admission = .fixed(Int(start.concurrency)) }
        if start.workers > 0 { poolWorkers = Int(start.workers) }
        if start.queue > 0 { poolQueue = Int(start.queue) }
    }
}

extension TLSIdentity {
    convenience init(_ files: ConformanceCredentials) throws(TLSConfigurationError) {
        try self.init(
            certificateFile: files.certificateFile, keyFile: files.keyFile, authorityFile: files.authorityFile)
    }
}

extension WireLimits {
    /// Takes over what is not zero.
    mutating func apply(_ limits: ConformanceLimits, _ timers: ConformanceTimers) {
        Self.set(&maxFrameSize, limits.maxFrameSize)
        Self.set(&maxConcurrentCalls, limits.maxConcurrentCalls)
        Self.set(&connectionCredit, limits.connectionCredit)
        Self.set(&callCredit, limits.callCredit)
        Self.set(&maxMetadataSize, limits.maxMetadataSize)
        Self.set(&maxMessageSize, limits.maxMessageSize)
        maxReassembly = max(maxReassembly, maxMessageSize)
        maxUnsent = max(maxUnsent, maxMessageSize)
        Self.set(&minPingInterval, limits.minPingIntervalMs)
        Self.set(&handshakeTimeout, timers.handshakeMs)
        Self.set(&frameTimeout, timers.frameMs)
        Self.set(&messageTimeout, timers.messageMs)
        Self.set(&writeTimeout, timers.writeMs)
        Self.set(&keepaliveInterval, timers.keepaliveIntervalMs)
        Self.set(&keepaliveTimeout, timers.keepaliveTimeoutMs)
        Self.set(&drainGrace, timers.drainGraceMs)
        if timers.maxAgeMs > 0 { maxAge = .milliseconds(UInt64(timers.maxAgeMs)) }
        if timers.idleTimeoutMs > 0 { idleTimeout = .milliseconds(UInt64(timers.idleTimeoutMs)) }
        callCredit = min(callCredit, connectionCredit)
    }

    private static func set(_ value: inout UInt32, _ new: UInt32) {
        if new > 0 { value = new }
    }

    private static func set(_ value: inout WireDuration, _ millis: UInt32) {
        if millis > 0 { value = .milliseconds(UInt64(millis)) }
    }
}
