private import ContractClients
private import Logging
private import SQL
private import ServiceClients
package import ServiceKit
private import ServiceLifecycle
private import ServiceStorage

/// The email process: its parts, put together.
package enum EmailProcess {
    package static let process = AsyncServiceProcess(table: EmailConfig.table, compose: compose)

    @Sendable static func compose(_ environment: ServiceEnvironment) async throws -> AsyncParts {
        let configuration = environment.configuration
        let peers = try Peers(environment)
        let sealer = EncryptionSealer(client: EncryptionServiceClient(peers.channel(to: .encryption)))
        let renderer = try MailRenderer(linkBase: try configuration[EmailConfig.linkBase])
        let sender = Mailbox(
            address: try configuration[EmailConfig.fromAddress], name: try configuration[EmailConfig.fromName])
        let database = try await Database.open(
            url: try configuration.databaseURL(EmailConfig.database),
            telemetry: environment.telemetry)
        let store = OutboxStore(database: database)
        try await store.prepare()
        let (clock, bell) = (SystemClock(), Bell())
        let worker = OutboxWorker(
            store: store, sealer: sealer, renderer: renderer, sink: try sink(configuration), sender: sender,
            settings: try OutboxWorker.Settings(configuration), clock: clock, bell: bell, logger: environment.logger)
        return AsyncParts(
            handlers: [EmailHandler(outbox: Outbox(store: store, sealer: sealer, clock: clock, bell: bell))],
            background: [
                OutboxWorkerService(worker: worker),
                DatabaseWatch(database, services: [EmailHandler.contract.name], environment),
            ],
            cleanup: {
                await peers.shutdown()
                await database.close()
            })
    }

    private static func sink(_ configuration: Configuration) throws -> any MailSink {
        switch try configuration[EmailConfig.sink] {
        case .file: FileSink(directory: try configuration[EmailConfig.outboxDirectory].path(in: configuration.state))
        }
    }
}

/// Delivers until the process is asked to stop; messages under way are finished.
private struct OutboxWorkerService: Service {
    let worker: OutboxWorker

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await worker.run() }
    }
}
