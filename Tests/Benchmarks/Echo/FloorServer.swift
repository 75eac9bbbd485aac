import NIOCore
import NIOPosix
import NIOSSL
import RPCTransport

/// The floor: what comes in a burst of reads goes back in one write, as it is. Frames are a length of four bytes and a
/// payload; the server of a stream is told by a length of zero to send that frame without end.
enum FloorServer {
    static func run(_ tls: TLSIdentity) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: tls.serverContext), Handler(),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        EchoServers.announce(channel.localAddress?.port ?? 0)
        try await channel.closeFuture.get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private var received = ByteBuffer()
        private var out = ByteBuffer()
        private var poured: ByteBuffer?
        /// As the RPC has it: the floor is what it stands on.
        private var congestion = LoopbackCongestion()

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            out.clear()
            while let frame = received.readFrame() {
                if frame.readableBytes == 0 { poured = ByteBuffer() } else { answer(frame) }
            }
            if received.readableBytes == 0 { received.clear() } else { received.discardReadBytes() }
            if out.readableBytes > 0 { write(out, context) }
            pour(context)
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) { pour(context) }

        private func answer(_ frame: ByteBuffer) {
            if poured == nil {
                out.writeFrame(frame)
            } else {
                // Sixteen to a write.
                poured = (0..<16).reduce(into: ByteBuffer()) { buffer, _ in buffer.writeFrame(frame) }
            }
        }

        private func write(_ burst: ByteBuffer, _ context: ChannelHandlerContext) {
            congestion.note(burst, on: context.channel)
            context.writeAndFlush(wrapOutboundOut(burst), promise: nil)
        }

        private func pour(_ context: ChannelHandlerContext) {
            guard let poured, poured.readableBytes > 0 else { return }
            while context.channel.isWritable { write(poured, context) }
        }
    }
}

extension ByteBuffer {
    mutating func writeFrame(_ payload: ByteBuffer) {
        writeInteger(UInt32(payload.readableBytes))
        writeImmutableBuffer(payload)
    }

    /// The payload of the next whole frame.
    mutating func readFrame() -> ByteBuffer? {
        guard let length = getInteger(at: readerIndex, as: UInt32.self), readableBytes >= 4 + Int(length) else {
            return nil
        }
        moveReaderIndex(forwardBy: 4)
        return readSlice(length: Int(length))
    }
}
