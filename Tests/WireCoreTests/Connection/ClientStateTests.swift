import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.2, line by line: every event in every state, and the state afterwards.
struct ClientStateTests {
    enum State: CaseIterable {
        case handshaking
        case open
        case ending
        case draining
        case closed
    }

    enum Event: CaseIterable {
        case hello, call, message, end, cancel, status, callCredit, connectionCredit, ping, pong, drain, drainAck
        case goodbye, ignorable, unknown, drainWish, callWish, age, transportEnds
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
            return state == .handshaking ? .becomes(.closed) : state == .open ? .becomes(.ending) : .stays
        case .callWish: return .stays
        case .age: return state == .handshaking ? .error(130) : state == .open ? .becomes(.ending) : .stays
        case .transportEnds: return .becomes(.closed)
        default: break
        }
        if state == .handshaking { return .error(10) }
        switch event {
        case .call, .end, .cancel, .drainAck: return .error(8)
        case .message: return .error(46)
        case .status: return state == .ending ? .becomes(.closed) : .stays
        case .pong: return .error(91)
        case .drain: return state == .draining ? .error(101) : .becomes(.draining)
        case .goodbye: return .becomes(.closed)
        case .unknown: return .error(6)
        default: return .stays
        }
    }

    @Test(arguments: State.allCases, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let client = try Self.client(in: state)
        try #require(Self.state(of: client) == state)
        let before = client.events.count
        Self.apply(event, to: client)
        #expect(Self.outcome(of: client, from: state, since: before) == Self.expected(event, state))
        #expect(client.closedCount == (client.isClosed ? 1 : 0))
        let started = state == .handshaking ? 0 : 1
        if client.isClosed { #expect(client.results.count { $0.call == 1 } == started) }
    }

    @Test(arguments: [
        (State.handshaking, StartCallError.notEstablished), (.ending, .draining), (.draining, .draining),
        (.closed, .closed),
    ])
    func refusesToCall(_ state: State, _ refusal: StartCallError) throws {
        let client = try Self.client(in: state)
        client.pull()
        let sent = client.sent.count
        #expect(client.refusal() == refusal)
        #expect(!client.canStartCall)
        client.pull()
        #expect(client.sent.count == sent)
    }

    @Test(arguments: Event.allCases)
    func closedIsSilent(_ event: Event) throws {
        let client = try Self.client(in: .closed)
        let (events, sent) = (client.events.count, client.sent.count)
        Self.apply(event, to: client)
        #expect(client.events.count == events)
        #expect(client.sent.count == sent)
    }

    @Test func drainIsAcknowledgedWithTheLastCall() throws {
        let client = try TestClient()
        try client.start()
        try client.start()
        client.receive { $0.writeDrain(DrainFrame(lastCall: 1, graceMillis: 1000, reason: "deploy")) }
        #expect(client.sent.last == .drainAck(2))
        #expect(client.events.last == .draining(reason: "deploy"))
    }

    static func client(in state: State) throws -> TestClient {
        var limits = WireLimits.defaults()
        limits.keepaliveInterval = .seconds(3600)
        limits.maxAge = .seconds(100)
        let client = try TestClient(limits, peer: state == .handshaking ? nil : .defaults())
        guard state != .handshaking else { return client }
        try client.start()
        switch state {
        case .handshaking, .open: break
        case .ending:
            client.connection.drain(now: client.now)
            client.pull()
        case .draining: client.receive { write(.drain, to: &$0) }
        case .closed: client.receive { $0.writePong(99) }
        }
        return client
    }

    static func state(of client: TestClient) -> State {
        if client.isClosed { return .closed }
        if client.connection.phase.isOpen { return .open }
        if client.connection.phase.endsAfterLastCall { return .ending }
        return client.connection.phase.lastAccepted == nil ? .handshaking : .draining
    }

    private static func outcome(of client: TestClient, from state: State, since before: Int) -> Outcome {
        let closures = client.events.dropFirst(before).compactMap { event -> WireClosure? in
            if case .closed(let closure) = event { closure } else { nil }
        }
        if let rule = closures.first?.rule, rule != 0 { return .error(rule) }
        let after = Self.state(of: client)
        return after == state ? .stays : .becomes(after)
    }

    private static func apply(_ event: Event, to client: TestClient) {
        switch event {
        case .drainWish:
            client.connection.drain(now: client.now)
            client.pull()
        case .callWish:
            _ = client.refusal()
            if client.isClosed { client.pull() }
        case .age: client.wait(.seconds(100))
        case .transportEnds:
            client.connection.connectionClosed(now: client.now)
            client.pull()
        default: client.receive { write(event, to: &$0) }
        }
    }

    private static func write(_ event: Event, to output: inout ByteBuffer) {
        switch event {
        case .hello: output.writeImmutableBuffer(helloBytes(.server))
        case .call: output.writeTestCall(2)
        case .message: output.writeTestFragment(1)
        case .end: output.writeEnd(1)
        case .cancel: output.writeCancel(1)
        case .status: output.writeStatus(1, WireStatus(code: 5, processed: .yes))
        case .callCredit: output.writeCredit(1, 9999)
        case .connectionCredit: output.writeCredit(nil, 9999)
        case .ping: output.writePing(1)
        case .pong: output.writePong(1)
        case .drain: output.writeDrain(DrainFrame(lastCall: 1, graceMillis: 1, reason: ""))
        case .drainAck: output.writeDrainAck(1)
        case .goodbye: output.writeGoodbye(GoodbyeFrame(code: .none, rule: 0, lastCall: 1, reason: ""))
        case .ignorable: output.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), UInt32(0))
        case .unknown: output.writeMultipleIntegers(UInt32(0), UInt8(0x7F), UInt8(0), UInt16(0), UInt32(0))
        case .drainWish, .callWish, .age, .transportEnds: break
        }
    }
}
