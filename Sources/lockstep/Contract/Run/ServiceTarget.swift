import ContractHarness
import Contracts
import RPCCore
import RPCTransport
import ServiceKit

/// One of the five services under `lockstep up`, for generic contract tests.
struct ServiceTarget {
    /// Its listeners: the gateway has one for HTTPS and one that speaks RPC, the others have one.
    let services: [ServiceUnderTest]

    /// - Throws: `CommandFailure` when there is no such service, or no certificate to call it with.
    init(_ name: String, environment: [String: String]) throws {
        guard let process = ServiceName(rawValue: name) else {
            let names = ServiceName.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure("--service is \"\(name)\"; it takes \(names).", status: 64)
        }
        let settings = try OperatorSettings(environment: environment)
        _ = try settings.identity("operator")
        let address = try Self.address(of: process, settings)
        guard process == .gateway else {
            services = [try Self.service(name, address, settings, speaksRPC: true)]
            return
        }
        let front = try settings.gatewayAddress
        services = [
            try Self.service(name, HostPort(host: front.host, port: front.port), settings, speaksRPC: false),
            try Self.service("\(name).operations", address, settings, speaksRPC: true),
        ]
    }

    private static func service(
        _ name: String, _ address: HostPort, _ settings: OperatorSettings, speaksRPC: Bool
    ) throws -> ServiceUnderTest {
        ServiceUnderTest(
            name: name, host: address.host, port: address.port,
            certificateFile: "\(settings.state)/certs/operator.pem", keyFile: "\(settings.state)/certs/operator.key",
            authorityFile: try settings.authority, method: HealthServiceContract.check.id, speaksRPC: speaksRPC)
    }

    /// - Throws: `CommandFailure` for a service that is to be looked up: a case wants one certain server.
    private static func address(of process: ServiceName, _ settings: OperatorSettings) throws -> HostPort {
        guard case .addresses(let addresses) = try settings.location(of: process), let first = addresses.first else {
            throw CommandFailure("Configuration gives no address of \(process.rawValue), but where to find one.", status: 78)
        }
        return first
    }
}
