import NIOCore
import Testing

@testable import WireCore

/// What a stream may hold, and what becomes of what it may not.
struct StreamLimitTests {
    @Test("W-40 at a client: the message is dropped, and those behind it")
    func aClientDropsWhatComesBehindAMessageThatIsTooLong() throws {
        let client = try TestClient()
        try client.start(kind: .serverStreaming, limit: 100)
        client.receive { $0.writeTestWhole(1, 200) }
        #expect(client.resultTriples == [[1, WireStatusCode.resourceExhausted, 1]])
        #expect(client.sent.last == .cancel(1))
        for _ in 0..<200 { client.receive { $0.writeTestWhole(1, 10_000) } }
        client.receive(statusBytes(1, WireStatusCode.cancelled))
        #expect(client.closure == nil)
        #expect(client.openCallCount == 0)
        #expect(client.messages.isEmpty && client.results.count == 1)
    }

    @Test("W-40 at a server whose handler runs: STATUS at once, `processed` = maybe, and no answer is owed")
    func aServerEndsACallWithAMessageThatIsTooLong() throws {
        let server = try TestServer(requestLimits: [1: 1000], acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .bidirectional)
            output.writeTestStream(2, .bidirectional)
            output.writeTestStart(1, length: 1001, 500)
            output.writeTestFragment(1, 501, ends: true)
            output.writeTestWhole(2, 1000)
        }
        #expect(server.statusTriples == [[1, WireStatusCode.resourceExhausted, 1]])
        #expect(server.events.count { $0 == .aborted(1) } == 1)
        #expect(server.messages.map(\.count) == [1000])
        let isOwed = server.connection.finish(1)
        #expect(!isOwed)
        #expect(server.closure == nil)
    }

    /// "Not processed" would let the client send the call again, though the handler ran to its end.
    @Test(arguments: [WireCallKind.clientStreaming, .bidirectional])
    func anAnswerUnderWayIsNotTakenBack(_ kind: WireCallKind) throws {
        let server = try TestServer(
            peer: .defaults { $0.callCredit = 16 * 1024 }, requestLimits: [1: 1000], acceptsStreams: true)
        server.receive { $0.writeTestStream(1, kind) }
        let long = ByteBuffer(repeating: 1, count: 80_000)
        if kind.serverStreams {
            _ = server.connection.send(1, message: long)
            server.connection.finish(1)
        } else {
            server.connection.succeed(1, message: .buffer(long))
        }
        server.pull()
        server.receive { $0.writeTestWhole(1, 1001) }
        #expect(server.statuses.isEmpty)
        server.receive { $0.writeCredit(1, 100_000) }
        #expect(server.statusTriples == [[1, WireStatusCode.ok, 2]])
    }

    /// Messages that are just longer than the credit, each taken at once: what they are short of must not come in drops
    /// that the sender counts as a flood (W-123).
    @Test func creditForWhatAMessageIsShortOfIsNotSmall() throws {
        let limits = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let pair = try Pair(client: limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let call = OutgoingCall(method: 1, kind: .serverStreaming, message: ByteBuffer())
        let id = try pair.client.startCall(call, now: pair.now)
        pair.drive()
        var taken = 0
        pair.onClient = { [unowned pair] event in
            guard case .message = event else { return }
            taken += 1
            pair.client.take(id)
        }
        for _ in 0..<1500 {
            _ = pair.server.send(id, message: ByteBuffer(repeating: 1, count: 16 * 1024))
            pair.drive()
        }
        #expect(taken == 1500)
        #expect(pair.serverClosure == nil)
    }

    /// What a client credits of what it drops must not lift a credit over its bound that nobody uses any more (W-51).
    @Test func creditOfAStoppedStreamIsNotAddedToItsFirst() throws {
        let most = WireLimits.creditBounds.upperBound
        let peer = WireLimits.defaults { limits in
            limits.callCredit = most
            limits.connectionCredit = most
        }
        let server = try TestServer(peer: peer, acceptsStreams: true)
        server.receive { $0.writeTestStream(1, .serverStreaming) }
        _ = server.connection.send(1, message: ByteBuffer(repeating: 1, count: 100_000))
        server.pull()
        server.receive { output in
            output.writeCancel(1)
            output.writeCredit(1, 100_032)
        }
        #expect(server.closure == nil)
    }

    /// Else a byte that waits holds on to all that was read together with it.
    @Test func aMessageThatWaitsHoldsLittleMoreThanItsBytes() throws {
        let server = try TestServer(acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .clientStreaming)
            output.writeTestWhole(1, 1)
            output.writeTestCall(2, String(repeating: "x", count: 60_000))
        }
        #expect(server.messages.map(\.count) == [1])
        #expect(server.messages.allSatisfy { $0.storageCapacity <= 1024 })
    }

    @Test("W-45 is not for streams: the deadline bounds a message that does not become whole")
    func aMessageOfAStreamMayTakeItsTime() throws {
        let server = try TestServer(
            .defaults { $0.keepaliveInterval = .seconds(3600) }, acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .clientStreaming, remaining: 100_000_000)
            output.writeTestStart(1, length: 4000, 2000)
        }
        server.wait(.seconds(99))
        #expect(server.statuses.isEmpty && server.expired.isEmpty)
        server.wait(.seconds(1))
        #expect(server.expired == [1])
    }

    @Test func aMessageCostsWhatItsFrameWithMessageBrings() throws {
        let limits = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let server = try TestServer(limits, acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .clientStreaming)
            output.writeTestWhole(1, 16 * 1024 - 64)
            output.writeTestWhole(1, 0)
        }
        #expect(server.closure == nil)
        server.receive { $0.writeTestWhole(1, 0) }
        #expect(server.closure?.rule == 50)
        #expect(server.messages.count == 2)
    }

    /// A client that has sent many CANCELs sends no more (W-78): a server that waits for credit must get on without.
    @Test func aCallThatIsGivenUpWithoutCancelGivesCreditBack() throws {
        let client = try TestClient(.defaults { $0.floods.cancels = 0 })
        try client.start(kind: .serverStreaming)
        for _ in 0..<32 { client.receive { $0.writeTestWhole(1, 8160) } }
        client.cancel(1)
        #expect(!client.sent.contains(.cancel(1)))
        #expect(client.sent.last == .credit(1, 256 * 1024))
    }

    /// A client that writes everything before it reads would else wait for credit that nobody gives.
    @Test func anAnswerUnderWayGivesCreditBackForWhatNobodyTakes() throws {
        let server = try TestServer(peer: .defaults { $0.callCredit = 16 * 1024 }, acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .clientStreaming)
            for _ in 0..<32 { output.writeTestWhole(1, 8160) }
        }
        #expect(!server.sent.contains { if case .credit(1, _) = $0 { true } else { false } })
        server.connection.succeed(1, message: [UInt8](repeating: 1, count: 80_000))
        server.pull()
        #expect(server.sent.contains(.credit(1, 256 * 1024)))
    }
}
