import Logging
import RPCCore

/// The keys that every service has without declaring them.
package enum SharedKeys {
    package static func listen(_ service: String) -> ConfigKey<ListenAddress> {
        let address = ServiceName(rawValue: service)?.defaultAddress ?? ListenAddress(host: "127.0.0.1", port: 0)
        return ConfigKey("\(service).listen", default: address, doc: "Where the service listens.")
    }

    package static func certificate(_ service: String) -> ConfigKey<StatePath> {
        ConfigKey(
            "\(service).certificate", default: StatePath("certs/\(service).pem"),
            doc: "The service's certificate, PEM; its SAN URI names the service.")
    }

    package static func key(_ service: String) -> ConfigKey<StatePath> {
        ConfigKey(
            "\(service).key", default: StatePath("certs/\(service).key"),
            doc: "The certificate's private key, PEM, mode 0600.")
    }

    package static func drainGrace(_ service: String) -> ConfigKey<Duration> {
        ConfigKey(
            "\(service).drain_grace", default: .seconds(10), in: .zero ... .seconds(300),
            doc: "How long calls under way may take to end when the service stops.")
    }

    /// The gateway's RPC listener, beside the HTTPS one.
    package static let gatewayOperations = ConfigKey(
        "gateway.operations", default: ListenAddress(host: "127.0.0.1", port: 7105),
        doc: "Where the gateway answers for its health, and the operator; HTTPS knows nothing of it.")

    package static func concurrency(_ service: String) -> ConfigKey<Int> {
        ConfigKey(
            "\(service).concurrency", default: CallGate.defaultConcurrency, in: 1...65_536,
            doc: "Calls at once in the process; a fifth is kept for emergencies, half for routine calls.")
    }

    package static func admission(_ service: String) -> ConfigKey<String> {
        ConfigKey(
            "\(service).admission", default: fixedAdmission, oneOf: [fixedAdmission, adaptiveAdmission],
            doc: "Whether that number stays as it is, or follows the latency of calls up to it.")
    }

    static let fixedAdmission = "fixed"
    static let adaptiveAdmission = "adaptive"

    package static func metrics(_ service: String) -> ConfigKey<MetricsAddress> {
        ConfigKey(
            "\(service).metrics", default: MetricsAddress(ServiceName(rawValue: service)?.defaultMetricsAddress),
            doc: "Where Prometheus reads the service's metrics, plain HTTP at `/metrics`; who can connect can read.")
    }

    package static let authority = ConfigKey(
        "tls.authority", default: StatePath("ca.pem"), doc: "The authority whose certificates are believed, PEM.")

    package static let identity = ConfigKey(
        "identity.certificate", default: StatePath("certs/gateway-identity.pem"),
        doc: "The certificate under which the gateway signs who the end user is, PEM.")

    package static let reload = ConfigKey<Duration>(
        "tls.reload", default: .seconds(5), in: .zero ... .seconds(3600),
        doc: "How often certificate, key and authority are looked at for a change; `0s`: only on SIGHUP.")

    package static let maxAge = ConfigKey<Duration>(
        "connections.max_age", default: .seconds(1800), in: .seconds(1) ... .seconds(86_400),
        doc: "How long a connection between services lives, give or take a tenth.")

    package static let idleTimeout = ConfigKey<Duration>(
        "connections.idle_timeout", default: .seconds(600), in: .seconds(1) ... .seconds(43_200),
        doc: "How long a caller keeps a connection without calls; who is called keeps it twice as long.")

    package static let connectionGrace = ConfigKey<Duration>(
        "connections.grace", default: .seconds(60), in: .milliseconds(1) ... .seconds(3600),
        doc: "How long calls may take to end on a connection that is too old or no longer trusted.")

    package static let keepalive = ConfigKey<Duration>(
        "connections.keepalive", default: .seconds(10), in: .seconds(1) ... .seconds(3600),
        doc: "After how much silence a connection is checked.")

    package static let keepaliveTimeout = ConfigKey<Duration>(
        "connections.keepalive_timeout", default: .seconds(5), in: .milliseconds(100) ... .seconds(600),
        doc: "How long the other side may then be silent before the connection counts as lost.")

    package static let logLevel = ConfigKey(
        "log.level", default: "info", oneOf: Logger.Level.allCases.map(\.rawValue),
        doc: "The least level that is logged.")

    package static let spans = ConfigKey(
        "log.spans", default: false, doc: "Whether each part of a trace is logged when it ends.")

    /// Where another service is.
    package static func peer(_ service: ServiceName) -> ConfigKey<PeerLocation> {
        ConfigKey(
            "peers.\(service.rawValue)", default: service.defaultAddress.location, doc: "Where \(service.rawValue) is.")
    }

    /// The services that others call.
    package static let peers: [ServiceName] = [.auth, .token, .email, .encryption]

    static func all(for service: String, callsOut: Bool) -> [any ConfigEntry] {
        let own: [any ConfigEntry] = [listen(service), certificate(service), key(service), drainGrace(service), metrics(service)]
        let connections: [any ConfigEntry] = [maxAge, idleTimeout, connectionGrace, keepalive, keepaliveTimeout]
        let trust: [any ConfigEntry] = [authority, reload]
        // The gateway hosts no calls; `gateway.requests` limits what it takes.
        let calls: [any ConfigEntry] = service == "gateway" ? [] : [concurrency(service), admission(service)]
        let rest: [any ConfigEntry] = [identity, logLevel, spans]
        return own + calls + trust + connections + rest + (callsOut ? peers.map { peer($0) } : [])
    }
}
