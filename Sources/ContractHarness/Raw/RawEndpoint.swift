import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// How the raw peer speaks TLS: what a case may get wrong on purpose.
struct RawTLS: Sendable {
    var files: ConformanceCredentials
    /// None: no certificate is shown.
    var showsCertificate = true
    var alpn = ["lockstep/1"]
    var version = "1.3"
    /// Files of authorities that it believes as a server, beside its own.
    var alsoBelieves: [String] = []

    func context(asServer: Bool) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificateFile).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(file: files.keyFile, format: .pem))
        var configuration =
            asServer
            ? TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
            : TLSConfiguration.makeClientConfiguration()
        if !asServer, showsCertificate {
            configuration.certificateChain = chain
            configuration.privateKey = key
        }
        configuration.applicationProtocols = alpn
        let authorities = try ([files.authorityFile] + alsoBelieves).flatMap { try NIOSSLCertificate.fromPEMFile($0) }
        configuration.trustRoots = .certificates(authorities)
        // As a client it believes anybody: whom a real client believes is tested from the other side.
        configuration.certificateVerification = asServer ? .noHostnameVerification : .none
        if version == "1.2" {
            configuration.minimumTLSVersion = .tlsv12
            configuration.maximumTLSVersion = .tlsv12
        } else {
            configuration.minimumTLSVersion = .tlsv13
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// Where raw connections come from.
enum RawEndpoint {
    private static let timeout = TimeAmount.seconds(5)

    /// - Parameters:
    ///   - tls: Nil for TCP alone.
    ///   - receiveBuffer: Bytes that the kernel may hold for it; nil: as many as it likes, which are megabytes.
    static func connect(
        host: String, port: Int, tls: RawTLS?, isSilent: Bool, receiveBuffer: Int? = nil
    ) async throws -> RawConnection {
        let context = try tls?.context(asServer: false)
        let made = Mutex<RawConnection?>(nil)
        do {
            var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(timeout)
            if let receiveBuffer {
                bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
            }
            _ = try await bootstrap
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let connection = RawConnection(channel: channel, isSilent: isSilent)
                        if let context {
                            try channel.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: context, serverHostname: nil))
                        }
                        try channel.pipeline.syncOperations.addHandler(RawConnection.Handler(connection))
                        made.withLock { $0 = connection }
                    }
                }
                .connect(host: host, port: port).get()
        } catch {
            throw StepFailure("cannot connect to \(host):\(port): \(error)")
        }
        guard let connection = made.withLock({ $0 }) else { throw StepFailure("no connection was made") }
        return connection
    }
}

/// Listens as a server that follows a script.
final class RawListener: Sendable {
    private struct State {
        var accepted: [RawConnection] = []
        var waiters: [CheckedContinuation<Void, Never>] = []
        var count = 0
    }

    private let state = Mutex(State())
    private let channel = Mutex<(any Channel)?>(nil)

    /// - Parameters:
    ///   - greeting: Sent on each connection as soon as it is there.
    ///   - receiveBuffer: As of `RawEndpoint.connect`.
    func start(tls: RawTLS?, greeting: [UInt8], isSilent: Bool, receiveBuffer: Int? = nil) async throws -> Int {
        let context = try tls?.context(asServer: true)
        var bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        if let receiveBuffer {
            // Accepted connections inherit it.
            bootstrap = bootstrap.serverChannelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
        }
        let listener = try await bootstrap
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = RawConnection(channel: channel, isSilent: isSilent)
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.addHandler(RawConnection.Handler(connection))
                    if !greeting.isEmpty { connection.sendSoon(greeting) }
                    accept(connection)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channel.withLock { $0 = listener }
        return listener.localAddress?.port ?? 0
    }

    private func accept(_ connection: RawConnection) {
        let waiters = state.withLock { state in
            state.accepted.append(connection)
            state.count += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Connections so far.
    var count: Int { state.withLock { $0.count } }

    /// The next connection, once there is one.
    func next(until deadline: ContinuousClock.Instant) async throws -> RawConnection {
        while true {
            let connection = state.withLock { $0.accepted.isEmpty ? nil : $0.accepted.removeFirst() }
            if let connection { return connection }
            guard deadline > .now else { throw StepFailure("no connection came") }
            let timer = Task { [self] in
                try? await Task.sleep(until: deadline)
                wake()
            }
            defer { timer.cancel() }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.accepted.isEmpty, deadline > .now else { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    private func wake() {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func close() async {
        let listener = channel.withLock { $0 }
        try? await listener?.close().get()
        for connection in state.withLock({ $0.accepted }) { await connection.close() }
    }
}
