import Foundation
import NIOSSL
import RPCCore
import RPCTransport

/// Stands between our implementation and the wire, and plants a mutant's fault in every connection.
///
/// Both sides are real mutual TLS. The implementation sees the names of its real peers, in certificates of a hidden
/// authority.
struct MutantProxy: Sendable {
    private let mutant: Mutant

    init(_ mutant: Mutant, role: ContractRole) {
        self.mutant = mutant.role == nil || mutant.role == role ? mutant : .none
    }

    /// Listens for a server's clients.
    ///
    /// - Returns: The port.
    func beforeServer(
        _ server: BoundAddress, _ credentials: ConformanceCredentials, _ hidden: HiddenAuthority
    ) async throws -> Int {
        let listener = RawListener()
        let port = try await listener.start(tls: RawTLS(files: credentials), greeting: [], isSilent: true)
        serve(listener) { outside in
            guard let peer = await outside.peer() else { throw StepFailure("a peer without a name") }
            let inside = try await RawEndpoint.connect(
                host: server.host, port: server.port, tls: RawTLS(files: try hidden.credentials(peer.service)),
                isSilent: true)
            return (inside, outside)
        }
        return port
    }

    /// Listens for a client's own connections.
    ///
    /// - Returns: The channel that the client is to open instead.
    func beforeClient(
        _ channel: ConformanceOpenChannel, _ hidden: HiddenAuthority
    ) async throws -> ConformanceOpenChannel {
        guard let endpoint = channel.endpoints.first else { throw PeerFailure("a channel without endpoints") }
        let listener = RawListener()
        let tls = RawTLS(files: try hidden.credentials(channel.service))
        let port = try await listener.start(tls: tls, greeting: [], isSilent: true)
        serve(listener) { inside in
            let outside = try await RawEndpoint.connect(
                host: endpoint.host, port: Int(endpoint.port), tls: RawTLS(files: channel.credentials), isSilent: true)
            guard await outside.peer()?.service == channel.service else { throw StepFailure("another service") }
            return (inside, outside)
        }
        var changed = channel
        changed.endpoints = [
            .with {
                $0.host = "127.0.0.1"
                $0.port = UInt32(clamping: port)
            }
        ]
        let name = channel.credentials.certificateFile.split(separator: "/").last ?? "operator"
        changed.credentials = try hidden.credentials(String(name.split(separator: ".").first ?? "operator"))
        return changed
    }

    /// For each connection, makes the other one and passes frames between them.
    private func serve(
        _ listener: RawListener,
        _ pair: @escaping @Sendable (RawConnection) async throws -> (inside: RawConnection, outside: RawConnection)
    ) {
        Task {
            while let connection = try? await listener.next(until: .now.advanced(by: .seconds(3600))) {
                Task {
                    do {
                        let (inside, outside) = try await pair(connection)
                        await relay(inside, outside)
                    } catch {
                        FileHandle.standardError.write(Data("mutant: a connection goes nowhere: \(error)\n".utf8))
                        await connection.close()
                    }
                }
            }
        }
    }

    private func relay(_ inside: RawConnection, _ outside: RawConnection) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await pump(from: inside, to: outside, .outbound) }
            group.addTask { await pump(from: outside, to: inside, .inbound) }
        }
    }

    /// Each direction's faults need only what that direction has said.
    private func pump(from source: RawConnection, to target: RawConnection, _ direction: MutantFilter.Direction) async {
        var filter = MutantFilter(mutant)
        while case .frame(let frame)? = await source.inbox.next(until: .now.advanced(by: .seconds(3600))) {
            // What was no frame goes on as it came.
            let frames = frame.isFrame ? filter.pass(frame, direction).map(\.bytes) : [frame.payload]
            for bytes in frames { target.sendSoon(bytes) }
        }
        await target.close()
    }
}
