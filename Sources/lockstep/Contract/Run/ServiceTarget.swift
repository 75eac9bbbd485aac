import ContractHarness
import Contracts
import RPCCore
import ServiceKit

/// One of the five services under `lockstep up`, for generic contract tests.
struct ServiceTarget {
    let service: ServiceUnderTest

    /// - Throws: `CommandFailure` when there is no such service, or no certificate to call it with.
    init(_ name: String, environment: [String: String]) throws {
        guard let process = ServiceName(rawValue: name) else {
            let names = ServiceName.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure("--service is \"\(name)\"; it takes \(names).", status: 64)
        }
        let settings = try OperatorSettings(environment: environment)
        _ = try settings.identity("operator")
        let address = process == .gateway ? try settings.gatewayAddress : try settings.address(of: process)
        service = ServiceUnderTest(
            name: name, host: address.host, port: address.port,
            certificateFile: "\(settings.state)/certs/operator.pem", keyFile: "\(settings.state)/certs/operator.key",
            authorityFile: try settings.authority, method: HealthServiceContract.check.id,
            speaksRPC: process != .gateway)
    }
}
