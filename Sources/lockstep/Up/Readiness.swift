import AsyncHTTPClient
import ContractClients
import Contracts
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import RPCClient
import RPCCore
import RPCTransport
import ServiceClients
import ServiceKit

/// Asks the services whether they serve, until they do.
struct Readiness {
    /// Between two questions to one that does not answer yet.
    private static let pause = Duration.milliseconds(100)
    private static let questionLimit = Duration.seconds(2)

    let settings: OperatorSettings
    let identity: TLSIdentity

    /// Returns when the service answers that it serves.
    ///
    /// - Throws: `CancellationError`; `CommandFailure` for configuration.
    func wait(for service: ServiceName) async throws {
        if service == .gateway { return try await waitForGateway() }
        // Certificates may have been replaced since; where they cannot be used, the service's own log says why.
        _ = try? identity.reload()
        let pool = try ClientPool(
            service: service.rawValue, resolver: try settings.location(of: service).resolver, tls: identity,
            options: ClientOptions(connections: 1))
        do {
            try await ask { try await Self.serves(pool) }
        } catch {
            await pool.shutdown()
            throw error
        }
        await pool.shutdown()
    }

    private static func serves(_ pool: ClientPool) async throws -> Bool {
        let options = CallOptions(timeout: questionLimit)
        return try await HealthServiceClient(pool).check(RuntimeCheckRequest(), options).state == .serving
    }

    /// The gateway is ready when it says so itself, which it does once those behind it are.
    private func waitForGateway() async throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(try settings.authority)
        let client = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: HTTPClient.Configuration(tlsConfiguration: tls))
        let url = "https://\(try settings.gatewayAddress)/readyz"
        do {
            try await ask {
                let limit = TimeAmount.nanoseconds(Self.questionLimit.components.seconds * 1_000_000_000)
                return try await client.execute(HTTPClientRequest(url: url), timeout: limit).status == .ok
            }
        } catch {
            try? await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }

    private func ask(_ question: () async throws -> Bool) async throws {
        while true {
            try Task.checkCancellation()
            if (try? await question()) == true { return }
            try await Task.sleep(for: Self.pause)
        }
    }
}
