import NIOCore
import Testing

@testable import WireCore

/// WIRE.md section 11.4, line by line: every event in every state, and the state afterwards.
struct ClientCallStateTests {
    enum State: CaseIterable {
        case idle
        case waiting
        /// Half of the response is here.
        case collecting
        /// All of the response is here, but not STATUS.
        case collected
        case abandoned
        case ended
    }

    enum Event: CaseIterable {
        case start, fragment, ok, okWithMessage, error, credit, deadline, cancel, connectionEnds
    }

    enum Outcome: Equatable {
        case stays
        case becomes(State)
        case error(UInt16)
    }

    static func expected(_ event: Event, _ state: State) -> Outcome {
        switch (event, state) {
        case (.deadline, .idle), (.cancel, .idle), (.connectionEnds, .idle): .stays
        case (_, .idle): .error(29)
        case (.credit, .ended), (.deadline, .ended), (.cancel, .ended), (.connectionEnds, .ended): .stays
        case (_, .ended): .error(86)
        case (.start, .waiting): .becomes(.collecting)
        case (.start, .collecting): .error(46)
        case (.start, .collected): .error(26)
        case (.fragment, .waiting), (.fragment, .collected), (.fragment, .abandoned): .error(46)
        case (.fragment, .collecting): .becomes(.collected)
        case (.ok, _), (.okWithMessage, _), (.error, _), (.connectionEnds, _): .becomes(.ended)
        case (.deadline, .waiting), (.deadline, .collecting), (.deadline, .collected): .becomes(.abandoned)
        case (.cancel, .waiting), (.cancel, .collecting), (.cancel, .collected): .becomes(.abandoned)
        default: .stays
        }
    }

    /// The code and `processed` of the result that the event causes, if it causes one.
    static func expectedResult(_ event: Event, _ state: State) -> (UInt32, WireStatus.Processed)? {
        guard [.waiting, .collecting, .collected].contains(state) else { return nil }
        switch (event, state) {
        case (.ok, .collected), (.okWithMessage, .waiting): return (WireStatusCode.ok, .yes)
        case (.ok, _), (.okWithMessage, _): return (WireStatusCode.internal, .yes)
        case (.error, _): return (WireStatusCode.notFound, .maybe)
        case (.deadline, _): return (WireStatusCode.deadlineExceeded, .maybe)
        case (.cancel, _): return (WireStatusCode.cancelled, .maybe)
        case (.connectionEnds, _): return (WireStatusCode.unavailable, .maybe)
        case (.start, .collecting), (.start, .collected): return (WireStatusCode.unavailable, .maybe)
        case (.fragment, .waiting), (.fragment, .collected): return (WireStatusCode.unavailable, .maybe)
        default: return nil
        }
    }

    @Test(arguments: State.allCases, Event.allCases)
    func event(_ state: State, _ event: Event) throws {
        let client = try Self.client(in: state)
        try #require(Self.state(of: client) == state)
        let before = client.results.count
        Self.apply(event, to: client)
        #expect(Self.outcome(of: client, from: state, event) == Self.expected(event, state))
        let results = client.results.dropFirst(before)
        if let (code, processed) = Self.expectedResult(event, state) {
            try #require(results.count == 1)
            #expect(results.last?.result.status.code == code)
            #expect(results.last?.result.status.processed == processed)
        } else {
            #expect(results.isEmpty)
        }
        for (_, result) in results { #expect((result.message != nil) == result.status.isOK) }
    }

    @Test(arguments: [Event.deadline, .cancel])
    func givingUpSendsCancelAndHoldsTheSlot(_ event: Event) throws {
        let client = try Self.client(in: .waiting)
        Self.apply(event, to: client)
        #expect(client.sent.last == .cancel(1))
        #expect(client.openCallCount == 1)
        client.receive(statusBytes(1, WireStatusCode.cancelled, .no))
        #expect(client.openCallCount == 0)
        #expect(client.results.count == 1)
    }

    static func client(in state: State) throws -> TestClient {
        let client = try TestClient(.defaults { $0.keepaliveInterval = .seconds(3600) })
        guard state != .idle else { return client }
        try client.start(within: .seconds(1))
        switch state {
        case .idle, .waiting: break
        case .collecting: client.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .collected: client.receive { $0.writeTestStart(1, length: 2000, 2000) }
        case .abandoned: client.cancel(1)
        case .ended: client.receive(statusBytes(1, WireStatusCode.notFound))
        }
        return client
    }

    static func state(of client: TestClient) -> State {
        let call = client.connection.calls[1]
        let response = client.connection.responses[1]?.assembly
        guard let call else { return client.connection.lastStarted == 0 ? .idle : .ended }
        if call.isAbandoned { return .abandoned }
        return response.map { $0.isWhole ? .collected : .collecting } ?? .waiting
    }

    private static func outcome(of client: TestClient, from state: State, _ event: Event) -> Outcome {
        if let rule = client.closure?.rule, rule != 0 { return .error(rule) }
        let after = Self.state(of: client)
        return after == state ? .stays : .becomes(after)
    }

    private static func apply(_ event: Event, to client: TestClient) {
        switch event {
        case .start: client.receive { $0.writeTestStart(1, length: 4000, 2000) }
        case .fragment: client.receive { $0.writeTestFragment(1, 2000) }
        case .ok: client.receive(statusBytes(1))
        case .okWithMessage: client.receive(statusBytes(1, 0, .yes, "yo"))
        case .error: client.receive(statusBytes(1, WireStatusCode.notFound, .maybe))
        case .credit: client.receive { $0.writeCredit(1, 8192) }
        case .deadline: client.wait(.seconds(1))
        case .cancel: client.cancel(1)
        case .connectionEnds:
            client.connection.connectionClosed(now: client.now)
            client.pull()
        }
    }
}
