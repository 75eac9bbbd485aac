import NIOCore
import NIOPosix
import NIOSSL
import RPCCore
import RPCTransport
import Synchronization
import Testing
import WireCore

/// What a scripted server does with a call.
enum ScriptStep: Sendable {
    case answer(WireStatus)
    /// Ends the connection without a word.
    case cut
    /// Sends DRAIN as if it had not seen the call, which crossed it.
    case drain
}

/// A server that answers each call as a test's script says, and with its request when the script has ended.
final class Script: Sendable {
    private let state: Mutex<(steps: [ScriptStep], calls: [IncomingCall], farewells: Int)>

    /// - Parameter farewells: So many connections hear GOODBYE right behind HELLO.
    init(steps: [ScriptStep], farewells: Int = 0) { state = Mutex((steps, [], farewells)) }

    convenience init(_ statuses: [WireStatus], farewells: Int = 0) {
        self.init(steps: statuses.map { .answer($0) }, farewells: farewells)
    }

    var attempts: [UInt32?] { state.withLock { $0.calls.map(\.metadata.attempt) } }

    fileprivate func nextTurnsAway() -> Bool {
        state.withLock { state in
            defer { state.farewells -= 1 }
            return state.farewells > 0
        }
    }

    fileprivate func next(_ call: IncomingCall) -> ScriptStep? {
        state.withLock { state in
            state.calls.append(call)
            return state.steps.isEmpty ? nil : state.steps.removeFirst()
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

private final class ScriptedSession: WireSession {
    let driver = WireDriver(handshakeTimeout: .seconds(5))
    var machine: ServerConnection?
    private let script: Script

    init(_ script: Script) {
        self.script = script
        driver.session = self
    }

    func open(_ peer: PeerIdentity, now: WireInstant) throws {
        machine = try ServerConnection(now: now)
        if script.nextTurnsAway() { machine?.close("going", now: now) }
    }

    var isCongested: Bool { machine?.isCongested ?? false }
    var isClosed: Bool { machine?.isClosed ?? false }
    var nextTimeout: WireInstant? { machine?.nextTimeout() }
    func receive(_ bytes: ByteBuffer, now: WireInstant) { machine?.receive(bytes, now: now) }
    func handleEvents() { while let event = machine?.nextEvent() { handle(event) } }
    func takeOutbound() -> ByteBuffer? { machine?.takeOutbound() }
    func handleTimeout(now: WireInstant) { machine?.handleTimeout(now: now) }
    func connectionClosed(now: WireInstant) { machine?.connectionClosed(now: now) }

    private func handle(_ event: ServerConnection.Event) {
        guard case .call(let call) = event else { return }
        switch script.next(call) {
        case .answer(let status): machine?.fail(call.id, with: status)
        case .cut: driver.context?.close(promise: nil)
        case .drain:
            machine?.drain("going", grace: WireDuration(.seconds(1)), now: WireClock.now)
            let status = WireStatus(code: WireStatusCode.unavailable, message: "draining", processed: .no)
            machine?.fail(call.id, with: status)
        case nil: machine?.succeed(call.id, message: call.message)
        }
    }

    func ended(_ reason: String) {}
}
