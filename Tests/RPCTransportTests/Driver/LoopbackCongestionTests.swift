import NIOCore
import NIOPosix
import RPCTransport
import Testing

@Suite struct LoopbackCongestionTests {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.255.254", true), ("128.0.0.1", false), ("126.255.255.255", false), ("10.0.0.1", false),
        ("0.0.0.0", false), ("::1", true), ("::2", false), ("::", false), ("fe80::1", false),
    ])
    func whatDoesNotLeaveTheMachine(address: String, isLoopback: Bool) throws {
        #expect(try SocketAddress(ipAddress: address, port: 1).isLoopback == isLoopback)
    }

    /// The system tells which one a socket has.
    @Test(.timeLimit(.minutes(1))) func aSystemTakesIt() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let client = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get()
        LoopbackCongestion.choose(for: client)
        let socket = try #require(client as? any SocketOptionProvider)
        // As long as the kernel writes it: TCP_CA_NAME_MAX, 16 bytes.
        let name: (UInt64, UInt64) = try await socket.unsafeGetSocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: 13)).get()
        let text = withUnsafeBytes(of: name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        #expect(text == "reno")
        try await client.close()
        try await server.close()
    }
}
