import Logging

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

    package static let logLevel = ConfigKey(
        "log.level", default: "info", oneOf: Logger.Level.allCases.map(\.rawValue),
        doc: "The least level that is logged.")

    package static let spans = ConfigKey(
        "log.spans", default: false, doc: "Whether each part of a trace is logged when it ends.")

    /// Where another service is.
    package static func peer(_ service: ServiceName) -> ConfigKey<ListenAddress> {
        ConfigKey("peers.\(service.rawValue)", default: service.defaultAddress, doc: "Where \(service.rawValue) is.")
    }

    /// The services that others call.
    package static let peers: [ServiceName] = [.auth, .token, .email, .encryption]

    static func all(for service: String, callsOut: Bool) -> [any ConfigEntry] {
        let own: [any ConfigEntry] = [
            listen(service), certificate(service), key(service), drainGrace(service), metrics(service),
        ]
        let common: [any ConfigEntry] = [authority, identity, logLevel, spans]
        return own + common + (callsOut ? peers.map { peer($0) } : [])
    }
}
