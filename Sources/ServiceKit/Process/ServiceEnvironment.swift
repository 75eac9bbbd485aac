package import Logging
import RPCCore
package import RPCTransport

/// What a service is given to build itself from.
package struct ServiceEnvironment: Sendable {
    package let name: String
    package let configuration: Configuration
    package let logger: Logger
    /// Who the process is, for its servers and its clients.
    package let tls: TLSIdentity
    package let clock: any WallClock
    /// Where the service says so when it cannot serve.
    package let health = HealthBook()
    /// Nil where nothing is measured.
    package let telemetry: Telemetry?

    package init(
        name: String, configuration: Configuration, logger: Logger, tls: TLSIdentity,
        clock: any WallClock = SystemWallClock(), telemetry: Telemetry? = nil
    ) {
        self.name = name
        self.configuration = configuration
        self.logger = logger
        self.tls = tls
        self.clock = clock
        self.telemetry = telemetry
    }

    /// Reads configuration and certificates.
    ///
    /// - Throws: `ConfigurationError`, `TLSConfigurationError`.
    static func load(
        _ table: ConfigTable, environment: [String: String], output: any LogOutput
    ) throws -> ServiceEnvironment {
        let configuration = try Configuration.load(table, environment: environment)
        let name = table.service
        let level = Logger.Level(rawValue: try configuration[SharedKeys.logLevel]) ?? .info
        let tls = try TLSIdentity(
            certificateFile: configuration.path(SharedKeys.certificate(name)),
            keyFile: configuration.path(SharedKeys.key(name)),
            authorityFile: configuration.path(SharedKeys.authority))
        guard tls.identity.service == name else { throw StartError.foreignCertificate(tls.identity, service: name) }
        let logger = Logger(service: name, level: level, output: output)
        return ServiceEnvironment(
            name: name, configuration: configuration, logger: logger, tls: tls,
            telemetry: try Telemetry.make(name, configuration, logger: logger))
    }

    /// Where the RPC server listens, and how it ends.
    var serverOptions: ServerOptions {
        get throws {
            let address = try configuration.listen
            var options = ServerOptions(host: address.host, port: address.port)
            options.drainGrace = try configuration[SharedKeys.drainGrace(name)]
            try connectionLife.apply(toServer: &options.limits)
            options.admission = try admission
            options.loopWatch = telemetry?.loops
            return options
        }
    }

    /// How long connections live, to other services and from them.
    package var connectionLife: ConnectionLife {
        get throws {
            var life = ConnectionLife()
            life.maxAge = try configuration[SharedKeys.maxAge]
            life.idleTimeout = try configuration[SharedKeys.idleTimeout]
            life.grace = try configuration[SharedKeys.connectionGrace]
            life.keepalive = try configuration[SharedKeys.keepalive]
            life.keepaliveTimeout = try configuration[SharedKeys.keepaliveTimeout]
            return life
        }
    }

    /// How many calls may be under way at once.
    private var admission: AdmissionLimit {
        get throws {
            // What the gateway takes from outside has a limit of its own; here it answers the operator alone.
            guard name != ServiceName.gateway.rawValue else { return .fixed(CallGate.defaultConcurrency) }
            let most = try configuration[SharedKeys.concurrency(name)]
            let isAdaptive = try configuration[SharedKeys.admission(name)] == SharedKeys.adaptiveAdmission
            return isAdaptive ? .adaptive(LatencyGradient.Policy(maximum: most)) : .fixed(most)
        }
    }

    /// The verifier of the end users' identity tokens.
    var identityVerifier: IdentityTokenVerifier {
        get throws {
            try IdentityTokenVerifier(
                certificateFile: configuration.path(SharedKeys.identity),
                authorityFile: configuration.path(SharedKeys.authority), clock: clock)
        }
    }
}
