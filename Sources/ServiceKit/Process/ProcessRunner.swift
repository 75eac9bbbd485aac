import Glibc
import Logging
import RPCCore
import RPCTransport
import ServiceLifecycle
import UnixSignals

/// Runs a process's parts until it is told to stop, and stops them in bounded time.
struct ProcessRunner {
    /// How much longer than the server's drain everything together may take to stop.
    private static let stopMargin = Duration.seconds(5)
    /// How long parts may take to notice that they are cancelled; then the process ends as it is.
    private static let cancellationLimit = Duration.seconds(5)

    let environment: ServiceEnvironment
    let drain = DrainFlag()

    /// Starts the server, then runs it with the workers behind it. At the end the server stops first.
    ///
    /// - Parameter ready: Called with the server's address once it listens.
    func run(
        server: (any RPCServer)?, background: [any Service], ready: @Sendable (BoundAddress?) -> Void
    ) async throws {
        let address = try await server?.start()
        environment.logger.event(.info, "serving", address.map { [LogField.path("address", $0.description)] } ?? [])
        ready(address)
        let services = background + (server.map { [RPCService(server: $0, drain: drain)] } ?? [])
        try await group(services).run()
        environment.logger.event(.info, "stopped")
    }

    private func group(_ services: [any Service]) throws -> ServiceGroup {
        var quiet = environment.logger
        quiet.logLevel = .error
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration =
            try environment.configuration[SharedKeys.drainGrace(environment.name)] + Self.stopMargin
        configuration.maximumCancellationDuration = Self.cancellationLimit
        return ServiceGroup(configuration: configuration)
    }

    /// The verifier, when one of the methods needs an end user.
    func users(for contracts: [ServiceDescriptor]) throws -> IdentityTokenVerifier? {
        guard contracts.contains(where: { $0.methods.contains(where: \.needsUser) }) else { return nil }
        return try environment.identityVerifier
    }

    var health: HealthHandler { HealthHandler(service: environment.name, drain: drain) }

    var observer: CallLog {
        CallLog(logger: environment.logger)
    }
}
