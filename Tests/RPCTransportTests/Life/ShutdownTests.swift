import NIOCore
import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing
import WireCore

/// The end comes in bounded time, whatever others do.
@Suite(.timeLimit(.minutes(1)))
struct ShutdownTests {
    private static let down = MethodDescriptor.test("Down", kind: .serverStreaming)

    @Test("A server ends in its time though a handler never does, nor its stream")
    func stubbornStream() async throws {
        let (release, ended) = (Latch(), Latch())
        let stubborn = AsyncMethod(streaming: Self.down) { parts, _ in
            try? await parts.responses.write([1])
            // Deaf to its cancellation.
            await release.wait()
            ended.open()
            return []
        }
        var options = ServerOptions()
        options.drainGrace = .milliseconds(50)
        try await withServer([stubborn], options: options) { server, address in
            try await withClient(address, { $0.shutdownGrace = .zero }) { client in
                let stream = try client.open(Self.down, request: [], options: CallOptions(timeout: .seconds(50)))
                #expect(try await stream.responses.next() == [1])
                server.shutdown()
                let error = await #expect(throws: RPCError.self) { try await stream.responses.next() }
                #expect(error?.code == .unavailable)
            }
        }
        #expect(!ended.isOpen)
        release.open()
        await ended.wait()
    }

    @Test("A thousand calls under way lose nothing to a drain, over one connection or four", arguments: [1, 4])
    func thousandCalls(connections: Int) async throws {
        let release = Latch()
        let slow = AsyncMethod(bytes: .test("Slow")) { request, _ in
            await release.wait()
            return request
        }
        var options = ServerOptions()
        // A drain is tested here, not how many calls a busy machine can bear.
        options.longestLoopWait = .seconds(60)
        try await withServer([slow], options: options) { server, address in
            try await withClient(address, { $0.connections = connections }) { client in
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for number in 0..<1000 {
                        let request = Array("\(number)".utf8)
                        group.addTask { try await client.call(slow.descriptor, request) == request }
                    }
                    try await until { server.openCalls == 1000 }
                    server.shutdown()
                    // Every connection has acknowledged the drain when none of them takes calls any more.
                    try await until { client.readyConnections == 0 }
                    #expect(server.openCalls == 1000)
                    release.open()
                    var answered = 0
                    for try await isRight in group where isRight { answered += 1 }
                    #expect(answered == 1000)
                }
            }
        }
    }

    @Test("A client that pauses between two attempts ends at once")
    func whileBackingOff() async throws {
        let port = try await withServer([.echo]) { _, address in address.port }
        let address = BoundAddress(host: "127.0.0.1", port: port)
        let hour = Duration.seconds(3600)
        try await withClient(address, { $0.backoff = Backoff(base: hour, maximum: hour, minimum: hour) }) { client in
            let call = Task { try await client.failure(AsyncMethod.echoDescriptor, timeout: hour) }
            try await until { client.waitingCalls == 1 }
            // A second one, once the first attempt has failed, only waits for the pause to end.
            let hasty = try await client.failure(AsyncMethod.echoDescriptor) { $0.waitForReady = false }
            #expect(hasty.code == .unavailable)
            await client.shutdown()
            #expect(try await call.value.message == "This process is shutting down.")
        }
    }

    @Test("So does one whose server accepts and says nothing")
    func whileConnecting() async throws {
        let accepted = Latch()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                accepted.open()
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = BoundAddress(host: "127.0.0.1", port: try #require(silent.localAddress?.port))
        try await withClient(address, { $0.handshakeTimeout = .seconds(3600) }) { client in
            let call = Task { try await client.failure(AsyncMethod.echoDescriptor, timeout: .seconds(3600)) }
            await accepted.wait()
            await client.shutdown()
            let error = try await call.value
            #expect(error.code == .unavailable)
        }
        try await silent.close().get()
    }
}
