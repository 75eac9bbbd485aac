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

    package static let authority = ConfigKey(
        "tls.authority", default: StatePath("ca.pem"), doc: "The authority whose certificates are believed, PEM.")

    package static let identity = ConfigKey(
        "identity.certificate", default: StatePath("certs/gateway-identity.pem"),
        doc: "The certificate under which the gateway signs who the end user is, PEM.")

    package static let logLevel = ConfigKey(
        "log.level", default: "info", oneOf: Logger.Level.allCases.map(\.rawValue),
        doc: "The least level that is logged.")

    /// Where another service is.
    package static func peer(_ service: ServiceName) -> ConfigKey<ListenAddress> {
        ConfigKey("peers.\(service.rawValue)", default: service.defaultAddress, doc: "Where \(service.rawValue) is.")
    }

    /// The services that others call.
    package static let peers: [ServiceName] = [.auth, .token, .email, .encryption]

    static func all(for service: String, callsOut: Bool) -> [any ConfigEntry] {
        let own: [any ConfigEntry] = [listen(service), certificate(service), key(service), drainGrace(service)]
        // The gateway hosts no calls; `gateway.requests` limits what it takes.
        let calls: [any ConfigEntry] = service == "gateway" ? [] : [concurrency(service), admission(service)]
        let common: [any ConfigEntry] = [authority, identity, logLevel]
        return own + calls + common + (callsOut ? peers.map { peer($0) } : [])
    }
}
