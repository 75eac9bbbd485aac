private import AsyncHTTPClient
private import ContractClients
private import Logging
private import SQL
private import ServiceClients
package import ServiceKit
private import ServiceLifecycle
private import ServiceStorage

/// The token process: its parts, put together.
package enum TokenProcess {
    package static let process = AsyncServiceProcess(table: TokenConfig.table, compose: compose)

    @Sendable static func compose(_ environment: ServiceEnvironment) async throws -> AsyncParts {
        let configuration = environment.configuration
        let providers = try loadProviders(environment)
        let peers = try Peers(environment)
        let sealer = EncryptionSealer(client: EncryptionServiceClient(peers.channel(to: .encryption)))
        let database = try await Database.open(
            url: try configuration.databaseURL(TokenConfig.database),
            telemetry: environment.telemetry)
        let store = ConnectionStore(database: database)
        try await store.prepare()
        let settings = try TokenSettings(configuration)
        let http = OAuthClient.makeHTTPClient()
        let parts = TokenParts(
            store: store, sealer: sealer, providers: providers,
            client: OAuthClient(http: http, timeout: settings.providerTimeout), settings: settings,
            clock: SystemClock(), logger: environment.logger)
        return AsyncParts(
            handlers: [parts.handler],
            background: [
                RevokerService(revoker: parts.revoker),
                DatabaseWatch(database, services: [TokenHandler.contract.name], environment),
            ],
            cleanup: {
                try? await http.shutdown()
                await peers.shutdown()
                await database.close()
            })
    }

    private static func loadProviders(_ environment: ServiceEnvironment) throws -> ProviderRegistry {
        let configuration = environment.configuration
        let path = try configuration[TokenConfig.providers].path(in: configuration.state)
        if let registry = try ProviderFile.load(path: path) {
            environment.logger.event(
                .info, "providers are known", .path("file", path), .count("count", registry.all.count))
            return registry
        }
        environment.logger.event(.notice, "no providers: the file is missing", .path("file", path))
        return ProviderRegistry([])
    }
}

/// Revokes until the process is asked to stop.
private struct RevokerService: Service {
    let revoker: Revoker

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await revoker.run() }
    }
}
