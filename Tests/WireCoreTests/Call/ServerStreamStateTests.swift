import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.3, line by line, for calls that stream: every event in every state, and the state afterwards.
struct ServerStreamStateTests {
    enum Phase: CaseIterable {
        case running
        /// Half of a message is here.
        case within
        case cancelled
        case expired
        case sending
        case ended
    }

    struct State: Equatable, Sendable {
        var kind: WireCallKind
        var phase: Phase
        /// END came.
        var hasEnded: Bool

        static let all: [State] = WireCallKind.allCases.filter { $0 != .unary }.flatMap { kind in
            Phase.allCases.flatMap { phase in
                [false, true].map { State(kind: kind, phase: phase, hasEnded: $0) }
            }
        }.filter(\.isPossible)

        /// A request of one message has ended when the call is dispatched, and END never comes within a message.
        private var isPossible: Bool {
            switch phase {
            case .within: kind.clientStreams && !hasEnded
            case .ended: hasEnded
            default: hasEnded || kind.clientStreams
            }
        }

        func with(_ phase: Phase) -> State { State(kind: kind, phase: phase, hasEnded: hasEnded) }
        var ending: State { State(kind: kind, phase: phase, hasEnded: true) }
    }

    enum Event: CaseIterable {
        case call, start, fragment, end, cancel, credit, deadline, answer, fail, send, take
    }

    enum Outcome: Equatable {
        case stays
        case becomes(State)
        /// STATUS with this code and `processed`.
        case status(UInt32, WireStatus.Processed)
        case error(UInt16)
    }

    static func expected(_ event: Event, _ state: State) -> Outcome {
        switch (event, state.phase) {
        case (.call, _): .error(20)
        case (.start, .ended), (.fragment, .ended), (.end, .ended): .stays
        case (.start, _) where state.hasEnded: .error(28)
        case (.fragment, _) where state.hasEnded: .error(28)
        case (.end, _) where state.hasEnded: .error(28)
        case (.start, .within): .error(46)
        case (.start, .running): .becomes(state.with(.within))
        case (.fragment, .within): .becomes(state.with(.running))
        case (.fragment, _): .error(46)
        case (.end, .within): .error(27)
        case (.end, _): .becomes(state.ending)
        default: expectedEnd(event, state)
        }
    }

    private static func expectedEnd(_ event: Event, _ state: State) -> Outcome {
        switch (event, state.phase) {
        case (.cancel, .running), (.cancel, .within): .becomes(state.with(.cancelled))
        case (.cancel, .sending): .status(WireStatusCode.cancelled, .yes)
        case (.deadline, .running), (.deadline, .within), (.deadline, .cancelled): .becomes(state.with(.expired))
        case (.deadline, .sending): .status(WireStatusCode.deadlineExceeded, .yes)
        case (.answer, .running), (.answer, .within): .status(WireStatusCode.ok, .yes)
        case (.answer, .cancelled): .status(WireStatusCode.cancelled, .yes)
        case (.answer, .expired): .status(WireStatusCode.deadlineExceeded, .yes)
        case (.fail, .running), (.fail, .within), (.fail, .cancelled): .status(WireStatusCode.notFound, .maybe)
        case (.fail, .expired): .status(WireStatusCode.deadlineExceeded, .maybe)
        default: .stays
        }
    }

    @Test(arguments: State.all, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let server = try Self.server(in: state)
        try #require(Self.state(of: server, state.kind) == state)
        let before = server.statuses.count
        let outcome = Self.apply(event, to: server, state.kind)
        #expect(Self.outcome(of: server, from: state, since: before) == Self.expected(event, state))
        #expect(server.statuses.count <= 1)
        #expect(server.calls.count <= 1)
        guard event == .send else { return }
        let isOpen = state.kind.serverStreams && [.running, .within].contains(state.phase)
        #expect(outcome == (isOpen ? .taken : .ended))
    }

    @Test("Whole messages reach a handler that runs, and no other", arguments: State.all.filter { !$0.hasEnded })
    func onlyARunningHandlerIsGivenMessages(_ state: State) throws {
        let server = try Self.server(in: state)
        if state.phase == .within { server.receive { $0.writeTestFragment(1, 2000) } }
        for _ in 0..<200 { server.receive { $0.writeTestWhole(1, 8000) } }
        guard [.running, .within].contains(state.phase) else {
            #expect(server.messages.isEmpty)
            server.receive { $0.writeEnd(1) }
            #expect(!server.events.contains(.requestEnded(1)))
            #expect(server.closure == nil, "what is dropped gives its credit back")
            return
        }
        #expect(server.messages.count > 10)
        #expect(server.closure?.rule == 50, "nobody took them")
    }

    @Test(arguments: State.all)
    func connectionEnd(_ state: State) throws {
        let server = try Self.server(in: state)
        server.connection.connectionClosed(now: server.now)
        server.pull()
        let owes = ![.sending, .ended].contains(state.phase)
        #expect(server.events.count { $0 == .aborted(1) } == (owes ? 1 : 0))
        #expect(Self.apply(.send, to: server, state.kind) == .ended)
        let isLate = server.connection.finish(1) || server.connection.fail(1, with: Self.notFound)
        #expect(!isLate)
        #expect(server.statuses.isEmpty)
        #expect(server.closedCount == 1)
    }

    private static let notFound = WireStatus(code: WireStatusCode.notFound, processed: .maybe)

    /// A client whose credit stops a long answer half-way.
    static func server(in state: State) throws -> TestServer {
        let peer = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let server = try TestServer(
            .defaults { $0.keepaliveInterval = .seconds(3600) }, peer: peer, acceptsStreams: true)
        server.receive { $0.writeTestStream(1, state.kind, remaining: 1_000_000) }
        if state.hasEnded, state.kind.clientStreams { server.receive { $0.writeEnd(1) } }
        switch state.phase {
        case .running: break
        case .within: server.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .cancelled: server.receive { $0.writeCancel(1) }
        case .expired: server.wait(.seconds(1))
        case .sending: answerAtLength(server, state.kind)
        case .ended: _ = apply(.answer, to: server, state.kind)
        }
        server.pull()
        if state.phase == .ended { server.sent.removeAll() }
        return server
    }

    private static func answerAtLength(_ server: TestServer, _ kind: WireCallKind) {
        let long = ByteBuffer(repeating: 1, count: 300_000)
        guard kind.serverStreams else {
            server.connection.succeed(1, message: .buffer(long))
            return
        }
        _ = server.connection.send(1, message: long)
        server.connection.finish(1)
    }

    static func state(of server: TestServer, _ kind: WireCallKind) -> State? {
        let stream = server.connection.streams[1]
        let hasEnded = stream?.hasEnded ?? true
        let phase: Phase? =
            switch server.connection.calls[1]?.state {
            case .running(.no): stream?.isWithinMessage == true ? .within : .running
            case .running(.cancelled): .cancelled
            case .running(.expired): .expired
            case .sending: .sending
            case .receiving: nil
            case nil: server.connection.highestCall == 1 ? .ended : nil
            }
        return phase.map { State(kind: kind, phase: $0, hasEnded: hasEnded) }
    }

    private static func outcome(of server: TestServer, from state: State, since before: Int) -> Outcome? {
        if let rule = server.closure?.rule { return .error(rule) }
        if server.statuses.count > before, let status = server.statuses.last?.status {
            return .status(status.code, status.processed)
        }
        let after = Self.state(of: server, state.kind)
        return after == state ? .stays : after.map { .becomes($0) }
    }

    /// What `send` said, if that was the event.
    private static func apply(_ event: Event, to server: TestServer, _ kind: WireCallKind) -> SendOutcome? {
        var outcome: SendOutcome?
        switch event {
        case .call: server.receive { $0.writeTestStream(1, kind) }
        case .start: server.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .fragment: server.receive { $0.writeTestFragment(1, 2000) }
        case .end: server.receive { $0.writeEnd(1) }
        case .cancel: server.receive { $0.writeCancel(1) }
        case .credit: server.receive { $0.writeCredit(1, 8192) }
        case .deadline: server.wait(.seconds(1))
        case .answer where kind.serverStreams: server.connection.finish(1)
        case .answer: server.connection.succeed(1, message: [1])
        case .fail: server.connection.fail(1, with: notFound)
        case .send: outcome = server.connection.send(1, message: ByteBuffer(repeating: 1, count: 10))
        case .take: server.connection.take(1)
        }
        server.pull()
        return outcome
    }
}
