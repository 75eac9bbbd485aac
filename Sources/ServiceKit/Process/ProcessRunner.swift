import Glibc
import Logging
import NIOPosix
import RPCCore
import RPCTransport
import ServiceLifecycle
import UnixSignals

/// Runs a process's parts until it is told to stop, and stops them in bounded time.
struct ProcessRunner {
    let environment: ServiceEnvironment
    let operations: Operations

    init(environment: ServiceEnvironment) {
        self.environment = environment
        operations = Operations(process: environment.name, health: environment.health)
    }

    /// Starts the server, then runs it with the workers behind it. At the end the server stops first.
    ///
    /// - Parameter ready: Called with the server's address once it listens.
    func run(
        server: (any RPCServer)?, background: [any Service], ready: @Sendable (BoundAddress?) -> Void
    ) async throws {
        Scheduling.hasten(MultiThreadedEventLoopGroup.singleton)
        let metrics = try await environment.telemetry?.start(environment)
        do {
            try await serve(server, background, ready)
        } catch {
            await environment.telemetry?.stop(metrics)
            throw error
        }
        await environment.telemetry?.stop(metrics)
    }

    private func serve(
        _ server: (any RPCServer)?, _ background: [any Service], _ ready: @Sendable (BoundAddress?) -> Void
    ) async throws {
        if let server { environment.telemetry?.serves(server.methods) { server.summary } }
        let address = try await server?.start()
        environment.logger.event(.info, "serving", address.map { [LogField.path("address", $0.description)] } ?? [])
        ready(address)
        var services: [any Service] = [try certificateWatch]
        services += background
        if let server { services.append(RPCService(server: server, health: environment.health)) }
        try await group(services).run()
        environment.logger.event(.info, "stopped")
    }

    /// First in the group, so that it is the last to stop.
    private var certificateWatch: CertificateWatch {
        get throws {
            let interval = try environment.configuration[SharedKeys.reload]
            return CertificateWatch(
                tls: environment.tls, interval: interval > .zero ? interval : nil, logger: environment.logger)
        }
    }

    private func group(_ services: [any Service]) throws -> ServiceGroup {
        var quiet = environment.logger
        quiet.logLevel = .error
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration =
            try environment.configuration[SharedKeys.drainGrace(environment.name)] + ProcessLimits.drainMargin
        configuration.maximumCancellationDuration = ProcessLimits.cancellation
        return ServiceGroup(configuration: configuration)
    }

    /// Who vouches for end users: every server knows, for it is their token that grants the emergency lane.
    var users: IdentityTokenVerifier {
        get throws { try environment.identityVerifier }
    }

    /// With what lets the operator see into the server.
    var serverOptions: ServerOptions {
        get throws {
            var options = try environment.serverOptions
            options.inspector = operations.inspector
            return options
        }
    }

    var observer: any ServerObserver {
        let log = CallLog(logger: environment.logger)
        guard let telemetry = environment.telemetry else { return log }
        return CallObservers(log, telemetry.observer)
    }
}
