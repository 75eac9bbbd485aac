import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.4, line by line, for calls that stream: every event in every state, and the state afterwards.
struct ClientStreamStateTests {
    enum Phase: CaseIterable {
        case waiting
        /// Half of a message is here.
        case within
        /// All of the one response is here, but not STATUS.
        case collected
        case abandoned
        case ended
    }

    struct State: Equatable, Sendable {
        var kind: WireCallKind
        var phase: Phase

        static let all: [State] = WireCallKind.allCases.filter { $0 != .unary }.flatMap { kind in
            Phase.allCases.filter { $0 != .collected || !kind.serverStreams }.map { State(kind: kind, phase: $0) }
        }

        func with(_ phase: Phase) -> State { State(kind: kind, phase: phase) }
        var isLive: Bool { ![.abandoned, .ended].contains(phase) }
    }

    enum Event: CaseIterable {
        case start, whole, fragment, ok, okWithMessage, error, credit, deadline, cancel, connectionEnds
        case send, finish, take
    }

    enum Outcome: Equatable {
        case stays
        case becomes(State)
        case error(UInt16)
    }

    static func expected(_ event: Event, _ state: State) -> Outcome {
        switch (event, state.phase) {
        case (.send, _), (.finish, _), (.take, _), (.credit, _): .stays
        case (.deadline, .ended), (.cancel, .ended), (.connectionEnds, .ended): .stays
        case (_, .ended): .error(86)
        case (.ok, _), (.okWithMessage, _), (.error, _), (.connectionEnds, _): .becomes(state.with(.ended))
        case (.deadline, .abandoned), (.cancel, .abandoned): .stays
        case (.deadline, _), (.cancel, _): .becomes(state.with(.abandoned))
        case (.start, .abandoned), (.whole, .abandoned): .stays
        case (.start, .within), (.whole, .within): .error(46)
        case (.start, .collected), (.whole, .collected): .error(26)
        case (.start, _): .becomes(state.with(.within))
        case (.whole, _): state.kind.serverStreams ? .stays : .becomes(state.with(.collected))
        case (.fragment, .within): .becomes(state.with(state.kind.serverStreams ? .waiting : .collected))
        case (.fragment, _): .error(46)
        }
    }

    /// The code and `processed` of the result that the event causes, if it causes one. A call whose client streams is
    /// dispatched by its CALL: never "no".
    static func expectedResult(_ event: Event, _ state: State) -> [UInt32]? {
        guard state.isLive else { return nil }
        switch event {
        case .ok: return [isWhole(state) ? WireStatusCode.ok : WireStatusCode.internal, 2]
        case .okWithMessage:
            let isRight = !state.kind.serverStreams && state.phase == .waiting
            return [isRight ? WireStatusCode.ok : WireStatusCode.internal, 2]
        case .error: return [WireStatusCode.notFound, 1]
        case .deadline: return [WireStatusCode.deadlineExceeded, 1]
        case .cancel: return [WireStatusCode.cancelled, 1]
        case .connectionEnds: return [WireStatusCode.unavailable, 1]
        default:
            if case .error = expected(event, state) { return [WireStatusCode.unavailable, 1] }
            return nil
        }
    }

    /// Whether an OK without message may come now (W-87).
    private static func isWhole(_ state: State) -> Bool {
        state.phase == (state.kind.serverStreams ? .waiting : .collected)
    }

    @Test(arguments: State.all, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let client = try Self.client(in: state)
        try #require(Self.state(of: client, state.kind) == state)
        let before = client.results.count
        let outcome = Self.apply(event, to: client)
        #expect(Self.outcome(of: client, from: state) == Self.expected(event, state))
        let results = client.resultTriples.dropFirst(before).map { Array($0.dropFirst()) }
        #expect(results == (Self.expectedResult(event, state).map { [$0] } ?? []))
        for (_, result) in client.results {
            #expect((result.message != nil) == (result.status.isOK && !state.kind.serverStreams))
        }
        guard event == .send else { return }
        #expect(outcome == (state.isLive && state.kind.clientStreams ? .taken : .ended))
    }

    @Test(arguments: State.all)
    func endGoesOutOnceWhileTheRequestIsOpen(_ state: State) throws {
        let client = try Self.client(in: state)
        for _ in 0..<2 { _ = Self.apply(.finish, to: client) }
        let isOpen = state.isLive && state.kind.clientStreams
        #expect(client.sent.count { $0 == .end(1) } == (isOpen ? 1 : 0))
        #expect(Self.apply(.send, to: client) == .ended)
    }

    @Test("Whole messages reach a call that waits, and no other", arguments: State.all.filter(\.kind.serverStreams))
    func onlyALiveCallIsGivenMessages(_ state: State) throws {
        let client = try Self.client(in: state)
        if state.phase == .within { client.receive { $0.writeTestFragment(1, 2000) } }
        for _ in 0..<200 { client.receive { $0.writeTestWhole(1, 8000) } }
        switch state.phase {
        case .abandoned: #expect(client.closure == nil, "what is dropped gives its credit back")
        case .ended: #expect(client.closure?.rule == 86)
        default: #expect(client.closure?.rule == 50, "nobody took them")
        }
        #expect(client.messages.isEmpty == !state.isLive)
    }

    static func client(in state: State) throws -> TestClient {
        let client = try TestClient(.defaults { $0.keepaliveInterval = .seconds(3600) })
        try client.start(kind: state.kind, within: .seconds(1))
        switch state.phase {
        case .waiting: break
        case .within: client.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .collected: client.receive { $0.writeTestWhole(1, 2000) }
        case .abandoned: client.cancel(1)
        case .ended: client.receive(statusBytes(1, WireStatusCode.notFound))
        }
        return client
    }

    static func state(of client: TestClient, _ kind: WireCallKind) -> State {
        State(kind: kind, phase: phase(of: client))
    }

    private static func phase(of client: TestClient) -> Phase {
        guard let call = client.connection.calls[1] else { return .ended }
        if call.isAbandoned { return .abandoned }
        if let stream = client.connection.streams[1] { return stream.isWithinMessage ? .within : .waiting }
        return client.connection.responses[1].map { $0.assembly.isWhole ? .collected : .within } ?? .waiting
    }

    private static func outcome(of client: TestClient, from state: State) -> Outcome {
        if let rule = client.closure?.rule, rule != 0 { return .error(rule) }
        let after = Self.state(of: client, state.kind)
        return after == state ? .stays : .becomes(after)
    }

    /// What `send` said, if that was the event.
    private static func apply(_ event: Event, to client: TestClient) -> SendOutcome? {
        var outcome: SendOutcome?
        switch event {
        case .start: client.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .whole: client.receive { $0.writeTestWhole(1, 2000) }
        case .fragment: client.receive { $0.writeTestFragment(1, 2000) }
        case .ok: client.receive(statusBytes(1))
        case .okWithMessage: client.receive(statusBytes(1, 0, .yes, "yo"))
        case .error: client.receive(statusBytes(1, WireStatusCode.notFound, .maybe))
        case .credit: client.receive { $0.writeCredit(1, 8192) }
        case .deadline: client.wait(.seconds(1))
        case .cancel: client.cancel(1)
        case .connectionEnds: client.connection.connectionClosed(now: client.now)
        case .send: outcome = client.connection.send(1, message: ByteBuffer(repeating: 1, count: 10))
        case .finish: client.connection.finishRequest(1)
        case .take: client.connection.take(1)
        }
        client.pull()
        return outcome
    }
}
