import NIOCore
import NIOPosix
import NIOSSL
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import Testing
import WireCore

/// A server that answers each call as a test's script says.
private final class ScriptedSession: WireSession {
    let driver: WireDriver<ServerConnection>
    private let script: Script

    init(_ script: Script) {
        self.script = script
        driver = WireDriver<ServerConnection>(handshakeTimeout: .seconds(5)) { _, now in
            var machine = try ServerConnection(now: now)
            if script.nextTurnsAway() { machine.close("going", now: now) }
            return machine
        }
        driver.session = self
    }

    func handle(_ event: ServerConnection.Event) {
        guard case .call(let call) = event else { return }
        if let status = script.next(call) {
            driver.machine?.fail(call.id, with: status)
        } else {
            driver.machine?.succeed(call.id, message: call.message)
        }
    }

    func ended(_ reason: String) {}
}

private final class Script: Sendable {
    private let state: Mutex<(statuses: [WireStatus], calls: [IncomingCall], farewells: Int)>

    /// - Parameter farewells: So many connections hear GOODBYE right behind HELLO.
    init(_ statuses: [WireStatus], farewells: Int = 0) { state = Mutex((statuses, [], farewells)) }

    func nextTurnsAway() -> Bool {
        state.withLock { state in
            defer { state.farewells -= 1 }
            return state.farewells > 0
        }
    }

    var attempts: [UInt32?] { state.withLock { $0.calls.map(\.metadata.attempt) } }

    func next(_ call: IncomingCall) -> WireStatus? {
        state.withLock { state in
            state.calls.append(call)
            return state.statuses.isEmpty ? nil : state.statuses.removeFirst()
        }
    }

    func serve<Value: Sendable>(_ body: (BoundAddress) async throws -> Value) async throws -> Value {
        let tls = try TestCertificates.shared.get().identity("auth")
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let session = ScriptedSession(self)
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: tls.serverContext), session.driver,
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = BoundAddress(host: "127.0.0.1", port: try #require(channel.localAddress?.port))
        do {
            let value = try await body(address)
            try await channel.close().get()
            return value
        } catch {
            try? await channel.close().get()
            throw error
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct RetryTests {
    private static func refusal(_ code: UInt32, _ processed: WireStatus.Processed) -> WireStatus {
        WireStatus(code: code, message: "no", processed: processed)
    }

    @Test("A call that the server did not process is sent once more, and says so")
    func once() async throws {
        let script = Script([Self.refusal(WireStatusCode.unavailable, .no)])
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
            }
        }
        #expect(script.attempts == [nil, 2])
    }

    @Test("A connection that says GOODBYE right behind HELLO is none: the call goes over the next one")
    func farewell() async throws {
        let script = Script([], farewells: 3)
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.call(AsyncMethod.echoDescriptor, [5])
                #expect(answer == [5])
                #expect(client.readyConnections == 1)
            }
        }
        #expect(script.attempts == [nil])
    }

    @Test("Once, not for ever")
    func notTwice() async throws {
        let script = Script(Array(repeating: Self.refusal(WireStatusCode.unavailable, .no), count: 5))
        try await script.serve { address in
            try await withClient(address) { client in
                let ended = try await client.failure(AsyncMethod.echoDescriptor)
                #expect(ended.code == .unavailable)
            }
        }
        #expect(script.attempts.count == 2)
    }

    @Test(
        "What may have run, and what a busy or forbidding server refused, is not sent again",
        arguments: [
            (WireStatusCode.unavailable, WireStatus.Processed.maybe), (WireStatusCode.unavailable, .yes),
            (WireStatusCode.resourceExhausted, .no), (WireStatusCode.permissionDenied, .no),
        ])
    func others(code: UInt32, processed: WireStatus.Processed) async throws {
        let script = Script([Self.refusal(code, processed)])
        try await script.serve { address in
            try await withClient(address) { client in
                let answer = try await client.failure(AsyncMethod.echoDescriptor).code.rawValue
                #expect(answer == code)
            }
        }
        #expect(script.attempts.count == 1)
    }
}
