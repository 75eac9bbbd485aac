/// The five processes.
package enum ServiceName: String, Sendable, Hashable, CaseIterable {
    case encryption
    case email
    case auth
    case token
    case gateway

    /// Where it listens when nothing is said. The gateway speaks HTTPS there, the others the RPC protocol.
    package var defaultAddress: ListenAddress { ListenAddress(host: "127.0.0.1", port: defaultPort) }

    /// Where it shows its metrics when nothing is said.
    package var defaultMetricsAddress: ListenAddress { ListenAddress(host: "127.0.0.1", port: defaultMetricsPort) }

    private var defaultMetricsPort: Int {
        switch self {
        case .gateway: 7200
        case .auth: 7201
        case .token: 7202
        case .email: 7203
        case .encryption: 7204
        }
    }

    private var defaultPort: Int {
        switch self {
        case .gateway: 8443
        case .auth: 7101
        case .token: 7102
        case .email: 7103
        case .encryption: 7104
        }
    }
}
