import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.1, line by line: every event in every state, and the state afterwards.
struct ServerStateTests {
    enum State: CaseIterable {
        case handshaking
        case open
        case draining
        case acknowledged
        case closed
    }

    enum Event: CaseIterable {
        case hello, call, message, end, cancel, callCredit, connectionCredit, ping, pong, drainAck, goodbye, status
        case drainFrame, ignorable, unknown, drainWish, grace, age, transportEnds
    }

    enum Outcome: Equatable {
        case stays
        case becomes(State)
        case error(UInt16)
    }

    /// Call 1 is open in every state that can have one.
    static func expected(_ event: Event, _ state: State) -> Outcome {
        if state == .closed { return .stays }
        switch event {
        case .hello: return state == .handshaking ? .becomes(.open) : .error(13)
        case .drainWish:
            return state == .handshaking ? .becomes(.closed) : state == .open ? .becomes(.draining) : .stays
        case .grace:
            return state == .handshaking ? .error(130) : state == .open ? .stays : .error(104)
        case .age:
            return state == .handshaking ? .error(130) : state == .open ? .becomes(.draining) : .error(104)
        case .transportEnds: return .becomes(.closed)
        default: break
        }
        if state == .handshaking { return .error(10) }
        switch event {
        case .call: return state == .acknowledged ? .error(105) : .stays
        case .message, .end: return .error(28)
        case .pong: return .error(91)
        case .drainAck: return state == .draining ? .becomes(.acknowledged) : .error(102)
        case .goodbye: return .becomes(.closed)
        case .status, .drainFrame: return .error(8)
        case .unknown: return .error(6)
        default: return .stays
        }
    }

    @Test(arguments: State.allCases, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let server = try Self.server(in: state)
        try #require(Self.state(of: server) == state)
        let before = server.events.count
        Self.apply(event, to: server)
        let observed = Self.outcome(of: server, from: state, since: before)
        #expect(observed == Self.expected(event, state))
        #expect(server.closedCount == (server.isClosed ? 1 : 0))
        if case .closed = server.events.last {} else { #expect(!server.isClosed) }
    }

    /// A second time everything: a closed connection stays silent whatever comes.
    @Test(arguments: Event.allCases)
    func closedIsSilent(_ event: Event) throws {
        let server = try Self.server(in: .closed)
        let (events, sent) = (server.events.count, server.sent.count)
        Self.apply(event, to: server)
        #expect(server.events.count == events)
        #expect(server.sent.count == sent)
    }

    static func server(in state: State) throws -> TestServer {
        var limits = WireLimits.defaults()
        limits.keepaliveInterval = .seconds(3600)
        limits.maxAge = .seconds(100)
        let server = try TestServer(limits, peer: state == .handshaking ? nil : .defaults())
        guard state != .handshaking else { return server }
        server.receive { $0.writeTestCall(1) }
        switch state {
        case .handshaking, .open: break
        case .draining: server.drain()
        case .acknowledged:
            server.drain()
            server.receive { $0.writeDrainAck(1) }
        case .closed: server.receive { $0.writePong(99) }
        }
        return server
    }

    static func state(of server: TestServer) -> State {
        if server.isClosed { return .closed }
        if server.connection.phase.isOpen { return .open }
        if server.connection.phase.awaitsLastCall { return .acknowledged }
        return server.connection.phase.graceEnds == nil ? .handshaking : .draining
    }

    private static func outcome(of server: TestServer, from state: State, since before: Int) -> Outcome {
        let closures = server.events.dropFirst(before).compactMap { event -> WireClosure? in
            if case .closed(let closure) = event { closure } else { nil }
        }
        if let rule = closures.first?.rule, rule != 0 { return .error(rule) }
        let after = Self.state(of: server)
        return after == state ? .stays : .becomes(after)
    }

    private static func apply(_ event: Event, to server: TestServer) {
        switch event {
        case .drainWish: server.drain()
        case .grace: server.wait(.seconds(31))
        case .age: server.wait(.seconds(100))
        case .transportEnds:
            server.connection.connectionClosed(now: server.now)
            server.pull()
        default: server.receive { write(event, to: &$0) }
        }
    }

    private static func write(_ event: Event, to output: inout ByteBuffer) {
        switch event {
        case .hello: output.writeImmutableBuffer(helloBytes(.client))
        case .call: output.writeTestCall(2)
        case .message: output.writeTestFragment(1)
        case .end: output.writeEnd(1)
        case .cancel: output.writeCancel(1)
        case .callCredit: output.writeCredit(1, 9999)
        case .connectionCredit: output.writeCredit(nil, 9999)
        case .ping: output.writePing(1)
        case .pong: output.writePong(1)
        case .drainAck: output.writeDrainAck(1)
        case .goodbye: output.writeGoodbye(GoodbyeFrame(code: .none, rule: 0, lastCall: 0, reason: ""))
        case .status: output.writeStatus(1, WireStatus(code: 5, processed: .yes))
        case .drainFrame: output.writeDrain(DrainFrame(lastCall: 1, graceMillis: 1, reason: ""))
        case .ignorable: output.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), UInt32(0))
        case .unknown: output.writeMultipleIntegers(UInt32(0), UInt8(0x7F), UInt8(0), UInt16(0), UInt32(0))
        case .drainWish, .grace, .age, .transportEnds: break
        }
    }
}
