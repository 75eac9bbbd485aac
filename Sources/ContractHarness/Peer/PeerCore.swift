import Synchronization

/// Carries out commands: our own implementation, in whichever role.
package final class PeerCore: Sendable {
    private let client: ReferenceClient
    private let server = Mutex<ReferenceServer?>(nil)
    private let mutant: Mutant?
    private let hidden = Mutex<HiddenAuthority?>(nil)

    /// What our own implementation can do.
    static let features: [ConformanceFeature] = [
        .streams, .sync, .report, .limits, .forward, .rawDetails, .drain, .reload, .retry, .age,
    ]

    /// - Parameter mutant: The fault to plant, for tests of the harness itself.
    package init(mutant: Mutant? = nil) {
        self.mutant = mutant
        client = ReferenceClient(fault: mutant ?? .none)
    }

    package func reply(_ command: ConformanceCommand) async -> ConformanceReply {
        var reply = ConformanceReply()
        reply.id = command.id
        do {
            reply.body = try await carryOut(command)
        } catch {
            reply.body = .failure("\(error)")
        }
        return reply
    }

    private func carryOut(_ command: ConformanceCommand) async throws -> ConformanceReply.OneOf_Body {
        switch command.body {
        case .describe: return .description_p(description)
        case .startServer(let start): return .serverReady(try await startServer(start))
        case .drainServer: try await running().drain()
        case .report(let report): return .tally(try running().tallies.tally(report.tag))
        case .openChannel(let channel): try await openChannel(channel)
        case .closeChannel(let channel): try await client.close(channel)
        case .call(let call): return .callResult(try await client.call(call, id: command.id))
        case .cancelCall(let cancel): client.cancel(cancel.call)
        case .reload:
            try server.withLock { $0 }?.reload()
            try client.reload()
        case nil: throw PeerFailure("a command that this peer does not know")
        }
        return .done(ConformanceDone())
    }

    private var description: ConformanceDescription {
        .with {
            $0.implementation = mutant.map { "lockstep (Swift), mutant \($0.rawValue)" } ?? "lockstep (Swift)"
            $0.features = Self.features
        }
    }

    private func startServer(_ start: ConformanceStartServer) async throws -> ConformanceServerReady {
        guard server.withLock({ $0 == nil }) else { throw PeerFailure("the server runs already") }
        let (inner, host, port) = try await listen(start)
        server.withLock { $0 = inner }
        return .with {
            $0.host = host
            $0.port = UInt32(clamping: port)
        }
    }

    private func listen(_ start: ConformanceStartServer) async throws -> (ReferenceServer, String, Int) {
        guard let mutant, !mutant.isOfState else {
            let server = try await ReferenceServer(start, fault: mutant ?? .none)
            return (server, server.address.host, server.address.port)
        }
        let hidden = try hiddenAuthority()
        let server = try await ReferenceServer(hidden.server(start))
        let port = try await MutantProxy(mutant, role: .server).beforeServer(server.address, start.credentials, hidden)
        return (server, "127.0.0.1", port)
    }

    private func openChannel(_ channel: ConformanceOpenChannel) async throws {
        guard let mutant, !mutant.isOfState else { return try client.open(channel) }
        let hidden = try hiddenAuthority()
        try client.open(try await MutantProxy(mutant, role: .client).beforeClient(channel, hidden))
    }

    /// One for all that this process puts behind a mutant's filter.
    private func hiddenAuthority() throws -> HiddenAuthority {
        try hidden.withLock { hidden in
            if let hidden { return hidden }
            let new = try HiddenAuthority()
            hidden = new
            return new
        }
    }

    /// Leaves nothing behind.
    func end() { hidden.withLock { $0 }?.remove() }

    private func running() throws -> ReferenceServer {
        guard let server = server.withLock({ $0 }) else { throw PeerFailure("no server runs") }
        return server
    }
}
