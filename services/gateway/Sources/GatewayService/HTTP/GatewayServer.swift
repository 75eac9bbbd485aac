import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
package import Logging
import NIOCore
package import NIOSSL
package import RPCTransport
import ServiceLifecycle

/// Limits of the HTTP side that no method decides.
package struct HTTPLimits: Sendable, Hashable {
    /// Connections at once; more wait in the listener's backlog.
    package var connections = 4096
    /// From accepting a connection to the end of its TLS handshake.
    package var handshake = Duration.seconds(10)
    /// From a request's head to the end of its body.
    package var body = Duration.seconds(15)
    /// Without a request under way.
    package var idle = Duration.seconds(75)
    /// Bytes of all header fields together, and of one.
    package var headerBytes = 16 * 1024
    package var headerFields = 100

    package init() {}
}

/// The HTTPS listener: Hummingbird with one responder.
package struct GatewayServer: Service {
    private let gateway: Gateway
    private let tls: TLSConfiguration
    private let host: String
    private let port: Int
    private let limits: HTTPLimits
    private let logger: Logger
    private let onRunning: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - onRunning: Called with the bound port once requests are taken.
    package init(
        gateway: Gateway, tls: TLSConfiguration, host: String, port: Int, limits: HTTPLimits = HTTPLimits(),
        logger: Logger, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.gateway = gateway
        self.tls = tls
        self.host = host
        self.port = port
        self.limits = limits
        self.logger = logger
        self.onRunning = onRunning
    }

    /// - Throws: `ServerStartError` that names the address.
    package func run() async throws {
        // The library's own lines know nothing of what may be logged.
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        let onRunning = onRunning
        let application = Application(
            responder: GatewayResponder(gateway: gateway), server: builder,
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: .maximum(limits.connections, logger: quiet)),
            onServerRunning: { await onRunning($0.localAddress?.port ?? 0) }, logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            // The library reads and writes nothing else here: only a listener that cannot be opened ends like this.
            throw ServerStartError(address: "\(host):\(port)", error)
        }
    }

    /// TLS as outside clients may have it: 1.3, or 1.2 with what browsers still take.
    package static func tlsConfiguration(
        certificateChain: [NIOSSLCertificateSource], privateKey: NIOSSLPrivateKeySource
    ) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificateChain, privateKey: privateKey)
        configuration.minimumTLSVersion = .tlsv12
        return configuration
    }

    /// The same with the certificate that the process has, and its successors: a new one holds from the next handshake.
    package static func tlsConfiguration(_ identity: TLSIdentity) -> TLSConfiguration {
        let (chain, key) = identity.presented
        var configuration = tlsConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.sslContextCallback = { _, promise in
            let (chain, key) = identity.presented
            var current = NIOSSLContextConfigurationOverride()
            current.certificateChain = chain.map { .certificate($0) }
            current.privateKey = .privateKey(key)
            promise.succeed(current)
        }
        return configuration
    }

    private var builder: HTTPServerBuilder {
        let (tls, limits, gateway) = (tls, limits, gateway)
        let stream = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ConnectionGuard(bodyTimeout: TimeAmount(limits.body)) { HTTPAnswer(gateway.refuse($0)) }
            ],
            idleTimeout: TimeAmount(limits.idle),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
                maxHeaderFieldCount: limits.headerFields))
        let configuration = HTTP2UpgradeChannel.Configuration(
            idleTimeout: limits.idle, gracefulCloseTimeout: .seconds(5), streamConfiguration: stream)
        return HTTPServerBuilder { responder in
            DeadlinedChannel(
                inner: try HTTP2UpgradeChannel(
                    tlsConfiguration: tls, configuration: configuration, responder: responder),
                handshake: TimeAmount(limits.handshake))
        }
    }
}
