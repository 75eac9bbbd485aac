import Foundation
import RPCTransport
import ServiceKit

/// What the command line knows of the system: its addresses and whose certificate to show.
struct OperatorSettings {
    private static let gateway = SharedKeys.listen("gateway")
    private static let listeners = ServiceName.allCases.map { SharedKeys.listen($0.rawValue) } + [SharedKeys.gatewayOperations]
    private static let graces = ServiceName.allCases.map { SharedKeys.drainGrace($0.rawValue) }
    private static let metrics = ServiceName.allCases.map { SharedKeys.metrics($0.rawValue) }
    private static let table = ConfigTable(service: "operator", keys: listeners + graces + metrics)

    private let configuration: Configuration
    let state: String

    /// - Throws: `CommandFailure` with everything that is wrong.
    init(environment: [String: String]) throws {
        do {
            configuration = try Configuration.load(Self.table, environment: environment)
        } catch {
            throw CommandFailure(error.description, status: ExitStatus.configuration)
        }
        state = configuration.state
    }

    /// Where the gateway answers HTTPS, as a client on this machine reaches it.
    var gatewayAddress: ListenAddress {
        get throws { try configuration[Self.gateway].reachable }
    }

    /// Where each service shows its metrics, as a client on this machine reaches it; without those that show none.
    var metricsAddresses: [(service: ServiceName, address: ListenAddress)] {
        get throws {
            try zip(ServiceName.allCases, Self.metrics).compactMap { service, key in
                try configuration[key].address.map { (service, $0.reachable) }
            }
        }
    }

    /// Where the five listen, each place with the setting that moves it.
    var listenPlaces: ListenPlaces {
        get throws {
            let calls = try Self.listeners.map { ListenPlaces.Place(key: $0.name, address: try configuration[$0]) }
            let metrics = try Self.metrics.compactMap { key in
                try configuration[key].address.map { ListenPlaces.Place(key: key.name, address: $0) }
            }
            return ListenPlaces(places: calls + metrics)
        }
    }

    /// How long the slowest of the services may take to stop.
    var stopLimit: Duration {
        get throws { ProcessLimits.stop(drainGrace: try Self.graces.map { try configuration[$0] }.max() ?? .zero) }
    }

    var authority: String {
        get throws { try configuration.path(SharedKeys.authority) }
    }

    /// Where the service speaks RPC.
    func location(of service: ServiceName) throws -> PeerLocation {
        guard service == .gateway else { return try configuration[SharedKeys.peer(service)] }
        let address = try configuration[SharedKeys.gatewayOperations].reachable
        return .addresses([HostPort(host: address.host, port: address.port)])
    }

    /// The certificate of `name`, to show to servers.
    func identity(_ name: String) throws -> TLSIdentity {
        let certificate = "\(state)/certs/\(name).pem"
        guard FileManager.default.fileExists(atPath: certificate) else {
            throw CommandFailure(
                "There is no certificate \(certificate). Run this where the state directory is, or name that with "
                    + "--state; make new certificates with `lockstep certs`; or name one of "
                    + "those in \(state)/certs with --cert.", status: ExitStatus.configuration)
        }
        do {
            return try TLSIdentity(
                certificateFile: certificate, keyFile: "\(state)/certs/\(name).key", authorityFile: authority)
        } catch let error as TLSConfigurationError {
            throw CommandFailure("\(error) `lockstep certs` makes new ones.", status: ExitStatus.configuration)
        }
    }
}

extension ListenAddress {
    /// Where a client on this machine finds what listens here: "any address" means this machine too.
    var reachable: ListenAddress {
        switch host {
        case "0.0.0.0": ListenAddress(host: "127.0.0.1", port: port)
        case "::": ListenAddress(host: "::1", port: port)
        default: self
        }
    }
}
