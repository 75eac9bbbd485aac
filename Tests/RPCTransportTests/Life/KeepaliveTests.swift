import RPCClient
import RPCCore
import RPCTransport
import TestSupport
import Testing
import WireCore

/// A peer that is there no more, though nobody says so: bytes go into a black hole.
@Suite(.timeLimit(.minutes(1)))
struct KeepaliveTests {
    private static func quick(_ limits: inout WireLimits) {
        limits.keepaliveInterval = .milliseconds(50)
        limits.keepaliveTimeout = .milliseconds(500)
        limits.minPingInterval = .milliseconds(10)
    }

    private static let never = AsyncMethod(bytes: .test("Never")) { request, _ in
        try await untilCancelled(Latch())
        return request
    }

    @Test("A client finds a dead server by itself, says so, and goes on over another connection")
    func deadServer() async throws {
        var options = ServerOptions()
        options.limits.minPingInterval = .milliseconds(10)
        options.drainGrace = .zero
        try await withServer([.echo, Self.never], options: options) { server, address in
            let relay = try await Relay(to: address)
            try await withClient(relay.address, { Self.quick(&$0.limits) }) { client in
                _ = try await client.call(AsyncMethod.echoDescriptor)
                let call = Task { try await client.failure(Self.never.descriptor) }
                try await until { server.openCalls == 1 }
                relay.swallow()
                let error = try await call.value
                #expect(error.code == .unavailable)
                #expect(error.processed == .maybe)
                #expect(error.message.contains("no answer to a PING in 500 ms"))
                relay.pass()
                #expect(try await client.call(AsyncMethod.echoDescriptor, [3]) == [3])
            }
            relay.close()
        }
    }

    @Test("A server finds a dead client by itself, and stops what runs for it")
    func deadClient() async throws {
        var options = ServerOptions()
        Self.quick(&options.limits)
        let closed = Promised<String>()
        let observer = RecordingObserver { _, reason in closed.fulfill(reason) }
        try await withServer([Self.never], observer: observer, options: options) { server, address in
            let relay = try await Relay(to: address)
            try await withClient(relay.address, { $0.shutdownGrace = .zero }) { client in
                let call = Task { try await client.failure(Self.never.descriptor) }
                try await until { server.openCalls == 1 }
                relay.swallow()
                #expect(try await closed.value == "no answer to a PING in 500 ms")
                try await until { server.openCalls == 0 }
                call.cancel()
                #expect(try await call.value.code == .cancelled)
            }
            relay.close()
        }
    }

    @Test("Both ends check a silent connection unless told otherwise")
    func isOnByDefault() {
        #expect(ServerOptions().limits.keepaliveInterval == .seconds(10))
        #expect(ClientOptions().limits.keepaliveInterval == .seconds(10))
        #expect(ServerOptions().limits.keepaliveTimeout == .seconds(5))
    }

    @Test("A quiet connection that lives stays, however often it is checked")
    func livingPeer() async throws {
        var options = ServerOptions()
        Self.quick(&options.limits)
        options.limits.keepaliveTimeout = .seconds(20)
        let observer = RecordingObserver()
        try await withServer([.echo, Self.never], observer: observer, options: options) { server, address in
            try await withClient(
                address,
                { options in
                    Self.quick(&options.limits)
                    options.limits.keepaliveTimeout = .seconds(20)
                }
            ) { client in
                let never = Task { try await client.failure(Self.never.descriptor, timeout: .milliseconds(600)) }
                let (late, echo) = (try await never.value, try await client.call(AsyncMethod.echoDescriptor, [1]))
                #expect(late.code == .deadlineExceeded)
                #expect(echo == [1])
                #expect(observer.all.opened.count == 1)
                #expect(observer.all.closed.isEmpty)
            }
        }
    }
}
