import NIOCore
import NIOPosix
import NIOSSL
import RPCTransport
import Synchronization

/// A client that speaks TLS or less, and whatever bytes a test has it say.
struct RawPeer: Sendable {
    /// What it saw before the server closed the connection.
    struct Outcome: Sendable {
        var received: [UInt8]
        var error: String?
    }

    private let channel: any Channel
    private let ended: Promised<Outcome>

    /// - Parameter tls: Nil for plain TCP.
    init(_ address: BoundAddress, tls: NIOSSLContext?) async throws {
        let ended = Promised<Outcome>()
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(Recorder(ended))
                }
            }
            .connect(host: address.host, port: address.port).get()
        self.ended = ended
    }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func close() { channel.close(promise: nil) }

    /// Returns once the server has closed.
    var outcome: Outcome { get async throws { try await ended.value } }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let ended: Promised<Outcome>
        private var outcome = Outcome(received: [])

        init(_ ended: Promised<Outcome>) { self.ended = ended }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            outcome.received += unwrapInboundIn(data).readableBytesView
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            outcome.error = outcome.error ?? "\(error)"
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { ended.fulfill(outcome) }
    }
}

extension EventLoopGroup where Self == MultiThreadedEventLoopGroup {
    static var singletonMultiThreadedEventLoopGroup: MultiThreadedEventLoopGroup { .singleton }
}
