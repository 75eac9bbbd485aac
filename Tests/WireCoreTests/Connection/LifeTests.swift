import NIOCore
import Testing

@testable import WireCore

/// A connection from HELLO to its end.
struct LifeTests {
    @Test func helloTellsLimitsAndServices() throws {
        let services = [ServiceFingerprint(service: "lockstep.auth.v1.AuthService", fingerprint: 7)]
        var limits = WireLimits.defaults()
        limits.maxConcurrentCalls = 3
        let client = try TestClient(peer: nil)
        var server = try ServerConnection(limits: limits, fingerprints: services, now: client.now)
        server.takeOutbound().map(client.receive)
        #expect(client.events == [.established(HelloFrame(limits: limits, acceptsCalls: true, fingerprints: services))])
    }

    @Test func drainLosesNoCall() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        for _ in 0..<1000 { try pair.start([1]) }
        pair.drive()
        pair.server.drain("deploy", now: pair.now)
        pair.drive()
        #expect(pair.serverEvents.contains(.drainAcknowledged(last: 1000)))
        for id in pair.open.keys { pair.answer(id, .succeed([2])) }
        pair.drive()
        #expect(pair.results.count == 1000)
        #expect(pair.results.allSatisfy { $0.result.status.isOK })
        #expect(pair.serverClosure == WireClosure(origin: .local, code: .none, reason: "drained"))
        #expect(pair.clientClosure?.origin == .remote)
    }

    @Test func callsThatCrossDrainAreNotProcessed() throws {
        let pair = try Pair()
        pair.server.drain("deploy", now: pair.now)
        let id = try pair.start([1])
        pair.drive()
        #expect(pair.result(id)?.status.code == WireStatusCode.unavailable)
        #expect(pair.result(id)?.status.processed == .no)
        #expect(pair.serverClosure?.code == CloseCode.none)
    }

    @Test func aLargeAnswerEndsBeforeTheDrainDoes() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        pair.drive()
        pair.server.drain("deploy", now: pair.now)
        pair.drive()
        pair.answer(id, .succeed([UInt8](repeating: 3, count: 2_000_000)))
        pair.drive()
        #expect(pair.result(id)?.message?.count == 2_000_000)
        #expect(pair.serverClosure?.reason == "drained")
    }

    @Test func graceBoundsADrain() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        pair.drive()
        pair.server.drain("deploy", grace: .seconds(3), now: pair.now)
        pair.wait(.seconds(3))
        #expect(pair.serverClosure?.rule == 104)
        #expect(pair.serverEvents.contains(.aborted(id)))
        #expect(pair.result(id)?.status.processed == .maybe)
    }

    @Test func clientEndsAfterItsLastCall() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        pair.drive()
        pair.client.drain(now: pair.now)
        pair.drive()
        #expect(pair.clientClosure == nil)
        pair.answer(id, .succeed([]))
        pair.drive()
        #expect(pair.result(id)?.status.isOK == true)
        #expect(pair.clientClosure?.code == CloseCode.none)
        #expect(pair.serverClosure?.origin == .remote)
    }

    @Test func idsNearTheirEndDrainTheConnection() throws {
        let last = CallID(rawValue: CallID.drainThreshold.rawValue - 1)
        let pair = try Pair(first: last)
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        #expect(id == last)
        #expect(throws: StartCallError.draining) { try pair.start([1]) }
        pair.drive()
        #expect(pair.clientEvents.contains(.draining(reason: "call ids run out")))
        pair.answer(id, .succeed([]))
        pair.drive()
        #expect(pair.result(id)?.status.isOK == true)
        #expect(pair.clientClosure?.code == CloseCode.none)
    }

    @Test func serverDrainsAtIdsNearTheirEnd() throws {
        let server = try TestServer()
        server.receive { $0.writeTestCall(.drainThreshold) }
        #expect(server.calls.count == 1)
        #expect(ServerStateTests.state(of: server) == .draining)
        server.receive { $0.writeTestCall(.max) }
        #expect(server.statusTriples == [[CallID.max.rawValue, WireStatusCode.unavailable, 0]])
    }

    @Test func keepalivePingsAfterSilenceAndFindsADeadPeer() throws {
        let server = try TestServer()
        server.wait(.seconds(9))
        #expect(!server.sent.contains(.ping(1)))
        server.wait(.seconds(1))
        #expect(server.sent.contains(.ping(1)))
        server.wait(.seconds(4))
        #expect(!server.isClosed)
        server.wait(.seconds(1))
        #expect(server.closure?.rule == 92)
        #expect(server.closure?.code == .timeout)
    }

    @Test func keepaliveKeepsALivingPairOpen() throws {
        let pair = try Pair()
        pair.wait(.seconds(3600))
        #expect(pair.clientClosure == nil && pair.serverClosure == nil)
        let pongs = pair.clientEvents.count { if case .pong = $0 { true } else { false } }
        #expect(pongs > 100)
    }

    @Test func pingHonoursThePeersMinimum() throws {
        let client = try TestClient(peer: .defaults { $0.minPingInterval = .seconds(60) })
        #expect(client.ping())
        #expect(!client.ping(), "one is under way")
        client.receive { $0.writePong(1) }
        client.wait(.seconds(10))
        #expect(!client.ping())
        client.wait(.seconds(50))
        #expect(client.sent.count { if case .ping = $0 { true } else { false } } == 2)
    }

    @Test func pongTellsTheRoundTrip() throws {
        let client = try TestClient()
        #expect(client.ping())
        client.wait(.milliseconds(30))
        client.receive { $0.writePong(1) }
        #expect(client.events.last == .pong(roundTrip: .milliseconds(30)))
    }

    @Test func handshakeTimer() throws {
        let server = try TestServer(peer: nil)
        server.wait(.milliseconds(4999))
        #expect(!server.isClosed)
        server.wait(.milliseconds(1))
        #expect(server.closure?.rule == 130)
    }

    @Test func slowFrameTimer() throws {
        let server = try TestServer(.defaults { $0.keepaliveTimeout = .seconds(3600) })
        let call = frames { $0.writeTestCall(1) }
        for byte in call.readableBytesView.dropLast() where !server.isClosed {
            server.receive(ByteBuffer(bytes: [byte]))
            server.wait(.seconds(1))
        }
        #expect(server.closure?.rule == 131)
    }

    @Test func frameTimerStartsAnewWithEachFrame() throws {
        let server = try TestServer()
        let ping = frames { $0.writePing(1) }
        let half = try #require(ping.getSlice(at: 0, length: 10))
        let rest = try #require(ping.getSlice(at: 10, length: 10))
        server.receive(half)
        for _ in 0..<10 {
            server.wait(.seconds(6))
            server.receive { output in
                output.writeImmutableBuffer(rest)
                output.writeImmutableBuffer(half)
            }
        }
        #expect(!server.isClosed)
    }

    @Test func peerThatNeverReads() throws {
        let server = try TestServer(.defaults { $0.outboundHighWater = 1024 })
        server.connection.receive(frames { for value in 0..<20 { $0.writePing(UInt64(value)) } }, now: server.now)
        #expect(!server.isCongested)
        server.connection.receive(
            frames { for id in 1...9 { $0.writeTestCall(CallID(rawValue: UInt32(id))) } }, now: server.now)
        for id in 1...9 as ClosedRange<UInt32> {
            server.connection.succeed(CallID(rawValue: id), message: [UInt8](repeating: 0, count: 100))
        }
        #expect(server.isCongested)
        // The client still sends, so keepalive has nothing to say; the write timer has.
        for _ in 0..<6 {
            server.now = server.now.advanced(by: .seconds(5))
            server.connection.receive(frames { $0.writeCredit(nil, 5000) }, now: server.now)
            server.connection.handleTimeout(now: server.now)
        }
        server.pull()
        #expect(server.closure?.rule == 132)
    }

    /// A server whose answers nobody takes for now: 9 of them wait, half a frame has come, and it reads no more.
    private func congestedServer() throws -> TestServer {
        let server = try TestServer(.defaults { $0.outboundHighWater = 1024 })
        server.connection.receive(
            frames { for id in 1...9 { $0.writeTestCall(CallID(rawValue: UInt32(id))) } }, now: server.now)
        for id in 1...9 as ClosedRange<UInt32> {
            server.connection.succeed(CallID(rawValue: id), message: [UInt8](repeating: 0, count: 200))
        }
        server.connection.receive(ByteBuffer(bytes: [0, 0, 0]), now: server.now)
        return server
    }

    @Test("A server that does not read blames nobody for the silence but the one who does not take its bytes")
    func congestionStopsTheTimersOfSilence() throws {
        let server = try congestedServer()
        #expect(server.isCongested)
        for _ in 0..<29 {
            server.now = server.now.advanced(by: .seconds(1))
            server.connection.handleTimeout(now: server.now)
            #expect(!server.isClosed)
        }
        server.now = server.now.advanced(by: .seconds(1))
        server.connection.handleTimeout(now: server.now)
        server.pull()
        #expect(server.closure?.rule == 132)
    }

    @Test("After congestion the peer has all of its time again, once")
    func silenceCountsAgainAfterCongestion() throws {
        let server = try congestedServer()
        server.now = server.now.advanced(by: .seconds(14))
        server.pull()
        #expect(!server.isCongested)
        server.wait(.milliseconds(999))
        #expect(!server.isClosed)
        server.wait(.milliseconds(9999))
        #expect(!server.isClosed)
        server.wait(.milliseconds(1))
        #expect(server.closure?.rule == 131)
    }

    @Test func clientNeverStopsReading() throws {
        let client = try TestClient(.defaults { $0.outboundHighWater = 1024 })
        let call = OutgoingCall(method: 1, message: ByteBuffer(repeating: 0, count: 100))
        for _ in 0..<20 { _ = try client.connection.startCall(call, now: client.now) }
        #expect(!client.isCongested)
    }

    @Test func transportEndWithinAFrame() throws {
        let client = try TestClient()
        try client.start()
        client.receive(ByteBuffer(bytes: [0, 0, 0]))
        client.connection.connectionClosed(now: client.now)
        client.pull()
        #expect(client.resultTriples == [[1, WireStatusCode.unavailable, 1]])
        #expect(
            client.closure
                == WireClosure(origin: .transport, code: .none, reason: "the connection ended within a frame"))
    }

    @Test func requestNotSentWholeDidNotRun() throws {
        let client = try TestClient(peer: .defaults { $0.callCredit = 16 * 1024 })
        try client.start(String(repeating: "x", count: 300_000))
        try client.start()
        client.connection.connectionClosed(now: client.now)
        client.pull()
        #expect(client.resultTriples == [[1, WireStatusCode.unavailable, 0], [2, WireStatusCode.unavailable, 1]])
    }

    @Test func ownCloseSaysGoodbye() throws {
        let pair = try Pair()
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        pair.drive()
        pair.server.close("operator", now: pair.now)
        pair.drive()
        #expect(pair.clientClosure == WireClosure(origin: .remote, code: .none, reason: "operator"))
        #expect(pair.result(id)?.status.processed == .maybe)
        #expect(
            pair.serverEvents.suffix(2) == [
                .aborted(id), .closed(WireClosure(origin: .local, code: .none, reason: "operator")),
            ])
    }
}
