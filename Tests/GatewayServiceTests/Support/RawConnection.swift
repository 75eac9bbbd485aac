import NIOCore
import NIOPosix
import NIOSSL

/// A TLS connection that says exactly what a test wants.
enum RawConnection {
    /// Sends text in pieces and gives everything that came back before the server closed.
    static func exchange(_ pieces: [String], with live: LiveGateway) async throws -> String {
        let context = try NIOSSLContext(configuration: live.certificate.clientTLS)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(
            host: "127.0.0.1", port: live.port
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
        return try await channel.executeThenClose { inbound, outbound in
            for piece in pieces { try await outbound.write(ByteBuffer(string: piece)) }
            var text = ""
            do {
                for try await buffer in inbound { text += String(buffer: buffer) }
            } catch is NIOSSLError {
                // The server closed without a farewell: what came before it counts.
            }
            return text
        }
    }
}
