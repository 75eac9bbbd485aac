import NIOCore
import NIOPosix
import RPCTransport
import Synchronization

/// Passes bytes on between clients and a server, until it becomes a black hole: then connections stay, and nothing that
/// is sent arrives.
final class Relay: Sendable {
    let address: BoundAddress
    private let listener: any Channel
    private let hole: BlackHole

    /// Whether bytes vanish.
    fileprivate final class BlackHole: Sendable {
        private let open = Atomic(false)

        var swallows: Bool {
            get { open.load(ordering: .acquiring) }
            set { open.store(newValue, ordering: .releasing) }
        }
    }

    init(to target: BoundAddress) async throws {
        let hole = BlackHole()
        let group = MultiThreadedEventLoopGroup.singleton
        listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                ClientBootstrap(group: channel.eventLoop).connect(host: target.host, port: target.port).flatMap { peer in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Passage(to: peer, hole))
                        try peer.pipeline.syncOperations.addHandler(Passage(to: channel, hole))
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.hole = hole
        address = BoundAddress(host: "127.0.0.1", port: listener.localAddress?.port ?? 0)
    }

    /// From now on nothing arrives, and nobody is told.
    func swallow() { hole.swallows = true }

    /// New bytes arrive again.
    func pass() { hole.swallows = false }

    func close() { listener.close(promise: nil) }

    private final class Passage: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let other: any Channel
        private let hole: BlackHole

        init(to other: any Channel, _ hole: BlackHole) {
            self.other = other
            self.hole = hole
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if !hole.swallows { other.writeAndFlush(unwrapInboundIn(data), promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            if !hole.swallows { other.close(promise: nil) }
        }
    }
}
