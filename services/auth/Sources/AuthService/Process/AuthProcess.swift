internal import ContractClients
internal import Logging
internal import RPCCore
internal import SQL
internal import ServiceClients
package import ServiceKit
internal import ServiceLifecycle
internal import ServiceStorage

/// The auth process: handlers over one database, and the workers beside them.
package enum AuthProcess {
    package static let process = AsyncServiceProcess(table: AuthConfig.table, compose: compose)

    private static func compose(_ environment: ServiceEnvironment) async throws -> AsyncParts {
        let configuration = environment.configuration
        let clock = SystemClock(environment.clock)
        let policy = try AuthPolicy(configuration)
        let database = try await Database.open(
            url: configuration.databaseURL(AuthConfig.database), telemetry: environment.telemetry)
        let store = AuthStore(database: database, policy: policy, clock: clock)
        try await store.prepare()
        let peers = try Peers(environment)
        let encryption = peers.channel(to: .encryption)
        let factors = SecondFactors(
            store: store, cipher: FactorCipher(client: EncryptionServiceClient(encryption), key: store.policy.factorKey))
        let passwords = Passwords(client: PasswordServiceClient(encryption))
        let accessTokens = AccessTokens(client: JWTServiceClient(encryption), policy: store.policy)
        let mailer = Mailer(client: EmailServiceClient(peers.channel(to: .email)))
        let handler = AuthHandler(store: store, passwords: passwords, accessTokens: accessTokens, factors: factors)
        let handlers: [any AsyncServiceHandler] = [
            handler, FactorHandler(auth: handler), AccountHandler(auth: handler), UserAdminHandler(store: store),
            UserOperatorHandler(store: store), OAuthHandler(auth: handler), PasskeyHandler(auth: handler),
            ClientAdminHandler(store: store),
            ClientOperatorHandler(store: store),
        ]
        return AsyncParts(
            handlers: handlers,
            background: workers(store, passwords, mailer, clock, environment.logger) + [
                departures(store, TokenServiceClient(peers.channel(to: .token)), clock, environment.logger),
                DatabaseWatch(database, services: handlers.map { type(of: $0).contract.name }, environment)
            ],
            cleanup: {
                await peers.shutdown()
                await database.close()
            })
    }

    private static func departures(
        _ store: AuthStore, _ token: TokenServiceClient, _ clock: any AuthClock, _ logger: Logger
    ) -> any Service {
        let relay = DepartureRelay(store: store, token: token, clock: clock, logger: logger, random: { .random(in: 0...1) })
        return Worker { await relay.run() }
    }

    private static func workers(
        _ store: AuthStore, _ passwords: Passwords, _ mailer: Mailer, _ clock: any AuthClock, _ logger: Logger
    ) -> [any Service] {
        let relay = NotificationRelay(
            store: store, mailer: mailer, clock: clock, logger: logger, random: { .random(in: 0...1) })
        let sealer = AuditSealer(store: store, clock: clock, logger: logger, owner: RequestID.make())
        let maintenance = Maintenance(store: store, clock: clock, logger: logger)
        return [
            Worker { await relay.run() },
            Worker { await maintenance.run() },
            Worker { await sealer.run() },
            Worker { await passwords.warmUp(clock: clock, logger: logger) },
        ]
    }
}

/// Runs beside the server until the process drains.
private struct Worker: Service {
    let body: @Sendable () async -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await body()
            // A worker that has nothing left to do stays, since the process ends with the first that returns.
            try? await gracefulShutdown()
        }
    }
}
