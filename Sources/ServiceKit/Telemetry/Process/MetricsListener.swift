package import NIOCore
import NIOHTTP1
import NIOPosix
package import RPCTransport
import Synchronization

/// Where Prometheus reads: `GET /metrics` over plain HTTP/1.1, for this machine or a closed network.
package final class MetricsListener: Sendable {
    package static let path = "/metrics"
    /// Connections at once; one more is closed.
    private static let maximumConnections = 16
    /// How long a connection may be without a byte in either direction.
    private static let idle = TimeAmount.seconds(60)

    private let channel: any Channel
    private let connections: Connections
    package let address: BoundAddress

    /// Listens.
    ///
    /// - Parameter text: What is answered, made anew for each question, off the event loop.
    /// - Throws: `ServerStartError` that names the address.
    package static func start(
        host: String, port: Int, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        text: @escaping @Sendable () -> String
    ) async throws -> MetricsListener {
        let connections = Connections(limit: maximumConnections)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.enter(channel) else { throw ChannelError.eof }
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandlers(IdleStateHandler(allTimeout: idle), MetricsHandler(text))
                }
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: port).get()
            return MetricsListener(
                channel, connections, BoundAddress(host: host, port: channel.localAddress?.port ?? port))
        } catch {
            throw ServerStartError(address: "\(host):\(port)", error)
        }
    }

    private init(_ channel: any Channel, _ connections: Connections, _ address: BoundAddress) {
        self.channel = channel
        self.connections = connections
        self.address = address
    }

    /// Takes no new connections, and closes those that are there.
    package func close() async {
        try? await channel.close().get()
        connections.close()
    }

    private final class Connections: Sendable {
        private let open = Mutex<[ObjectIdentifier: any Channel]>([:])
        private let limit: Int

        init(limit: Int) { self.limit = limit }

        /// False when there are too many.
        func enter(_ channel: any Channel) -> Bool {
            let id = ObjectIdentifier(channel)
            let isWelcome = open.withLock { open in
                guard open.count < limit else { return false }
                open[id] = channel
                return true
            }
            if isWelcome { channel.closeFuture.whenComplete { [self] _ in open.withLock { $0[id] = nil } } }
            return isWelcome
        }

        func close() {
            for channel in open.withLock({ Array($0.values) }) { channel.close(promise: nil) }
        }
    }
}

/// Answers one request after the other.
private final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let text: @Sendable () -> String
    private var request: HTTPRequestHead?

    init(_ text: @escaping @Sendable () -> String) { self.text = text }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end:
            guard let head = request else { return }
            request = nil
            answer(head, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.uri.prefix(while: { $0 != "?" }) == MetricsListener.path else {
            return write(.notFound, "There is only \(MetricsListener.path).\n", to: head, context)
        }
        guard head.method == .GET || head.method == .HEAD else {
            return write(.methodNotAllowed, "GET, that is.\n", to: head, context)
        }
        let answered = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        NIOThreadPool.singleton.runIfActive(eventLoop: context.eventLoop, text).whenComplete { result in
            let (handler, context) = answered.value
            switch result {
            case .success(let text): handler.write(.ok, text, to: head, context)
            case .failure: context.close(promise: nil)
            }
        }
    }

    private func write(
        _ status: HTTPResponseStatus, _ text: String, to head: HTTPRequestHead, _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders([
            ("content-type", PrometheusText.contentType), ("content-length", String(text.utf8.count)),
            ("cache-control", "no-store"), ("x-content-type-options", "nosniff"),
        ])
        if status == .methodNotAllowed { headers.add(name: "allow", value: "GET, HEAD") }
        if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
        let answer = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(answer)), promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        }
        let sent = context.eventLoop.makePromise(of: Void.self)
        if !head.isKeepAlive {
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            sent.futureResult.whenComplete { _ in context.value.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }
}
