import Logging
package import RPCCore
import ServiceClients
package import ServiceKit

/// The gateway as a process: HTTPS outside; inside, an RPC listener for health and the operator.
package enum GatewayProcess {
    package static let process = AsyncServiceProcess(table: GatewayConfig.table, compose: compose)

    static func compose(_ environment: ServiceEnvironment) async throws -> AsyncParts {
        let configuration = environment.configuration
        let peers = try Peers(environment)
        let signer = try IdentityTokenSigner(
            certificateFile: configuration.path(SharedKeys.identity),
            keyFile: configuration.path(GatewayConfig.identityKey), clock: environment.clock)
        let clock = environment.clock
        let backend = try GatewayBackend(
            channels: [
                "auth": peers.channel(to: .auth), "token": peers.channel(to: .token),
                "encryption": peers.channel(to: .encryption),
            ],
            signer: signer, settings: GatewayBackend.Settings(configuration), logger: environment.logger,
            telemetry: environment.telemetry, time: { RequestTime(now: .now, seconds: clock.seconds) })
        let server = try server(for: backend.gateway, environment)
        return AsyncParts(
            handlers: [], operations: try configuration[SharedKeys.gatewayOperations],
            background: backend.background + [server], cleanup: { await peers.shutdown() })
    }

    private static func server(for gateway: Gateway, _ environment: ServiceEnvironment) throws -> GatewayServer {
        let configuration = environment.configuration
        let tls = GatewayServer.tlsConfiguration(environment.tls)
        let listen = try configuration.listen
        let logger = environment.logger
        return GatewayServer(
            gateway: gateway, tls: tls, host: listen.host, port: listen.port, limits: try HTTPLimits(configuration),
            logger: logger,
            onRunning: { port in logger.event(.info, "serving HTTPS", .id("host", listen.host), .count("port", port)) })
    }
}

extension GatewayBackend.Settings {
    fileprivate init(_ configuration: Configuration) throws {
        self.init()
        rateScale = RateScale(try configuration[GatewayConfig.rateLimits]) ?? .on
        rateBuckets = try configuration[GatewayConfig.rateBuckets]
        proxies = TrustedProxies(try configuration[GatewayConfig.trustedProxies].compactMap(AddressBlock.init))
        requests = try configuration[GatewayConfig.requests]
        keyRefresh = try configuration[GatewayConfig.keyRefresh]
        issuer = try configuration[GatewayConfig.issuer]
        audience = try configuration[GatewayConfig.audience]
    }
}

extension IdentityTokenSigner: UserTokenSigning {
    package func sign(_ grant: AccessGrant, lane: Lane, lifetime: Duration) throws -> String {
        try sign(subject: grant.subject, session: grant.sessionID, roles: grant.roles, lane: lane, lifetime: lifetime)
    }
}
