import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.3, line by line, for unary calls: every event in every state, and the state afterwards.
struct ServerCallStateTests {
    enum State: CaseIterable {
        case idle
        /// The request's bytes are missing.
        case collecting
        /// The request is whole, END is missing.
        case whole
        case running
        case cancelled
        case expired
        case sending
        case ended
    }

    enum Event: CaseIterable {
        case call, start, fragment, end, cancel, credit, deadline, succeed, fail
    }

    enum Outcome: Equatable {
        case stays
        case becomes(State)
        /// STATUS with this code and `processed`.
        case status(UInt32, WireStatus.Processed)
        case error(UInt16)
    }

    static func expected(_ event: Event, _ state: State) -> Outcome {
        switch (event, state) {
        case (.call, .idle): .becomes(.running)
        case (.call, _): .error(20)
        case (.deadline, .idle), (.succeed, .idle), (.fail, .idle): .stays
        case (_, .idle): .error(29)

        case (.start, .collecting): .error(46)
        case (.start, .whole): .status(WireStatusCode.invalidArgument, .no)
        case (.fragment, .collecting): .stays
        case (.fragment, .whole): .error(46)
        case (.end, .collecting): .error(27)
        case (.end, .whole): .becomes(.running)
        case (.cancel, .collecting), (.cancel, .whole): .status(WireStatusCode.cancelled, .no)
        case (.deadline, .collecting), (.deadline, .whole): .status(WireStatusCode.deadlineExceeded, .no)

        case (.start, .ended), (.fragment, .ended), (.end, .ended): .stays
        case (.start, _), (.fragment, _), (.end, _): .error(28)

        case (.cancel, .running): .becomes(.cancelled)
        case (.deadline, .running), (.deadline, .cancelled): .becomes(.expired)
        case (.succeed, .running): .status(WireStatusCode.ok, .yes)
        case (.succeed, .cancelled): .status(WireStatusCode.cancelled, .yes)
        case (.succeed, .expired): .status(WireStatusCode.deadlineExceeded, .yes)
        case (.fail, .running), (.fail, .cancelled): .status(WireStatusCode.notFound, .maybe)
        case (.fail, .expired): .status(WireStatusCode.deadlineExceeded, .maybe)

        case (.cancel, .sending): .status(WireStatusCode.cancelled, .yes)
        case (.deadline, .sending): .status(WireStatusCode.deadlineExceeded, .yes)
        default: .stays
        }
    }

    @Test(arguments: State.allCases, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let server = try Self.server(in: state)
        try #require(Self.state(of: server) == state)
        let before = server.statuses.count
        apply(event, to: server)
        #expect(Self.outcome(of: server, from: state, since: before) == Self.expected(event, state))
        #expect(server.statuses.count <= 1)
        #expect(server.calls.count <= 1)
    }

    /// The handler is told once, whatever comes twice.
    @Test func handlerIsToldOnce() throws {
        let server = try Self.server(in: .cancelled)
        server.receive { $0.writeCancel(1) }
        server.wait(.seconds(2))
        #expect(server.events.count { $0 == .cancelled(1) } == 1)
        #expect(server.events.count { $0 == .expired(1) } == 0)
    }

    @Test(arguments: [State.running, .cancelled, .expired])
    func connectionEndAbortsHandlers(_ state: State) throws {
        let server = try Self.server(in: state)
        server.connection.connectionClosed(now: server.now)
        server.pull()
        #expect(server.events.count { $0 == .aborted(1) } == 1)
        #expect(server.connection.succeed(1, message: []) == false)
        #expect(server.statuses.isEmpty)
    }

    @Test(arguments: [State.collecting, .whole, .sending, .ended])
    func connectionEndForgetsTheRest(_ state: State) throws {
        let server = try Self.server(in: state)
        server.connection.connectionClosed(now: server.now)
        server.pull()
        #expect(!server.events.contains(.aborted(1)))
        #expect(server.closedCount == 1)
    }

    /// A client whose credit stops a long answer half-way.
    static func server(in state: State) throws -> TestServer {
        let peer = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let server = try TestServer(.defaults { $0.keepaliveInterval = .seconds(3600) }, peer: peer)
        let second: UInt64 = 1_000_000
        switch state {
        case .idle: break
        case .collecting: server.receive { $0.writeTestCall(1, "a", length: 4000, ends: false, remaining: second) }
        case .whole: server.receive { $0.writeTestCall(1, ends: false, remaining: second) }
        default: server.receive { $0.writeTestCall(1, remaining: second) }
        }
        switch state {
        case .cancelled: server.receive { $0.writeCancel(1) }
        case .expired: server.wait(.seconds(1))
        case .sending: server.connection.succeed(1, message: [UInt8](repeating: 1, count: 300_000))
        case .ended: server.connection.succeed(1, message: [1])
        default: break
        }
        server.pull()
        if state == .ended { server.sent.removeAll() }
        return server
    }

    static func state(of server: TestServer) -> State {
        let connection = server.connection.calls[1]?.state
        switch connection {
        case .receiving: return server.connection.requests[1]?.assembly.isWhole == true ? .whole : .collecting
        case .running(.no): return .running
        case .running(.cancelled): return .cancelled
        case .running(.expired): return .expired
        case .sending: return .sending
        case nil: return server.connection.highestCall == 0 ? .idle : .ended
        }
    }

    private static func outcome(of server: TestServer, from state: State, since before: Int) -> Outcome {
        if let rule = server.closure?.rule { return .error(rule) }
        if server.statuses.count > before, let status = server.statuses.last?.status {
            return .status(status.code, status.processed)
        }
        let after = Self.state(of: server)
        return after == state ? .stays : .becomes(after)
    }

    private func apply(_ event: Event, to server: TestServer) {
        switch event {
        case .call: server.receive { $0.writeTestCall(1) }
        case .start: server.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .fragment: server.receive { $0.writeTestFragment(1, 2000) }
        case .end: server.receive { $0.writeEnd(1) }
        case .cancel: server.receive { $0.writeCancel(1) }
        case .credit: server.receive { $0.writeCredit(1, 8192) }
        case .deadline: server.wait(.seconds(1))
        case .succeed:
            server.connection.succeed(1, message: [1])
            server.pull()
        case .fail:
            server.connection.fail(1, with: WireStatus(code: WireStatusCode.notFound, processed: .maybe))
            server.pull()
        }
    }
}
