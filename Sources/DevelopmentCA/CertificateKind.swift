package import RPCCore

/// The certificates that a development system has.
package enum CertificateKind: Sendable, Hashable {
    /// A service's, or the operator's: for TLS on both ends of a connection.
    case service(PeerIdentity)
    /// The key under which the gateway signs who the end user is.
    case gatewayIdentity(PeerIdentity)

    /// The five services, the operator, and the gateway's signing key.
    package static let all: [CertificateKind] = {
        let names = ["gateway", "auth", "token", "email", "encryption", "operator"]
        let services = names.compactMap(PeerIdentity.init(service:))
        return services.map(CertificateKind.service)
            + services.filter { $0.service == gateway }.map(CertificateKind.gatewayIdentity)
    }()

    private static let gateway = "gateway"

    package var identity: PeerIdentity {
        switch self {
        case .service(let identity), .gatewayIdentity(let identity): identity
        }
    }

    /// The files' name without an ending.
    package var fileName: String {
        switch self {
        case .service(let identity): identity.service
        case .gatewayIdentity(let identity): "\(identity.service)-identity"
        }
    }

    /// Whether browsers and curl connect to it by host name.
    var isReachedByName: Bool {
        switch self {
        case .service(let identity): identity.service == Self.gateway
        case .gatewayIdentity: false
        }
    }
}
