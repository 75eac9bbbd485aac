import Glibc
import NIOCore
import NIOPosix
import ServiceKit

/// The places where the five are about to listen, looked at before anything is started: a service whose port is taken would
/// only be started again and again.
struct ListenPlaces {
    struct Place: Hashable {
        /// The setting that moves it.
        let key: String
        let address: ListenAddress
    }

    let places: [Place]

    /// - Throws: `CommandFailure` that names every place that is taken, by its address and by the setting that moves it.
    func requireFree() async throws {
        var taken: [Place] = []
        for place in places where await Self.isTaken(place.address) { taken.append(place) }
        guard let first = taken.first else { return }
        let list = taken.map { "\($0.address) (\($0.key))" }.joined(separator: ", ")
        throw CommandFailure(
            "Another program listens already where a service is to: \(list). Stop it (`ss -ltnp 'sport = :\(first.address.port)'` says "
                + "which it is), or set \(first.key) to another address.", status: EX_TEMPFAIL)
    }

    /// Whether somebody listens there. What else may be wrong with an address the service says best.
    private static func isTaken(_ address: ListenAddress) async -> Bool {
        guard address.port != 0 else { return false }
        do {
            // As the services do: what a connection of before has left at the port is no hindrance.
            let bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            let channel = try await bootstrap.bind(host: address.host, port: address.port).get()
            try? await channel.close().get()
            return false
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            return await answers(address.reachable)
        } catch {
            return false
        }
    }

    /// Whether somebody accepts connections there. A port of the ephemeral range may also be the near end of somebody's connection
    /// to elsewhere, which passes: then a service that is started again finds it free.
    private static func answers(_ address: ListenAddress) async -> Bool {
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connectTimeout(.seconds(1))
        guard let channel = try? await bootstrap.connect(host: address.host, port: address.port).get() else { return false }
        try? await channel.close().get()
        return true
    }
}
