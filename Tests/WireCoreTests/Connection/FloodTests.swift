import NIOCore
import Testing

@testable import WireCore

/// Each flood: the last frame that is allowed, the one that is not, and a new window (W-120 ... W-127).
struct FloodTests {
    enum Flood: CaseIterable {
        case pings, cancels, smallCredits, smallFragments, lateFrames, unknownFrames, provokedErrors

        var rule: UInt16 {
            switch self {
            case .pings: 121
            case .cancels: 122
            case .smallCredits: 123
            case .smallFragments: 124
            case .lateFrames: 125
            case .unknownFrames: 126
            case .provokedErrors: 127
            }
        }

        func write(_ number: UInt32, to output: inout ByteBuffer) {
            switch self {
            case .pings: output.writePing(UInt64(number))
            case .cancels: output.writeCancel(1)
            case .smallCredits: output.writeCredit(nil, WireLimits.smallCredit - 1)
            case .smallFragments: output.writeTestFragment(2)
            case .lateFrames: output.writeEnd(1)
            case .unknownFrames: output.writeMultipleIntegers(UInt32(0), UInt8(0x80), UInt8(0), UInt16(0), UInt32(0))
            case .provokedErrors: output.writeTestCall(CallID(rawValue: 10 + number), lane: 9)
            }
        }
    }

    private static let limits = WireLimits.defaults { limits in
        limits.keepaliveInterval = .seconds(3600)
        limits.messageTimeout = .seconds(3600)
        limits.floods.pings = 5
        limits.floods.cancels = 5
        limits.floods.smallCredits = 5
        limits.floods.smallFragments = 5
        limits.floods.lateFrames = 5
        limits.floods.unknownFrames = 5
        limits.floods.provokedErrors = 5
    }

    /// Call 1 has ended, call 2 is collecting.
    private func server() throws -> TestServer {
        let server = try TestServer(Self.limits)
        server.receive { $0.writeTestCall(1) }
        server.connection.succeed(1, message: [])
        server.receive { $0.writeTestCall(2, "a", length: 1000, ends: false) }
        return server
    }

    @Test(arguments: Flood.allCases)
    func oneTooManyCloses(_ flood: Flood) throws {
        let server = try server()
        for number in 0..<5 as Range<UInt32> { server.receive { flood.write(number, to: &$0) } }
        #expect(!server.isClosed)
        server.receive { flood.write(5, to: &$0) }
        #expect(server.closure?.rule == flood.rule)
        #expect(server.closure?.code == .flood)
    }

    @Test(arguments: Flood.allCases)
    func aNewWindowForgets(_ flood: Flood) throws {
        let server = try server()
        for window in 0..<4 as Range<UInt32> {
            for number in 0..<5 as Range<UInt32> { server.receive { flood.write(window * 5 + number, to: &$0) } }
            server.wait(.seconds(10))
        }
        #expect(!server.isClosed)
    }

    /// What users of a correct client can cause must not add up to a closed connection.
    @Test func callErrorsOfUsersAreNoFlood() throws {
        let server = try TestServer(Self.limits, requestLimits: [1: 1])
        for id in 1...1000 as ClosedRange<UInt32> {
            server.receive { $0.writeTestCall(CallID(rawValue: id), "too long") }
        }
        for id in 1001...2000 as ClosedRange<UInt32> {
            server.receive { $0.writeTestCall(CallID(rawValue: id), "", remaining: 0) }
        }
        #expect(server.statuses.count == 2000)
        #expect(!server.isClosed)
    }

    private static let streams = WireLimits.defaults { $0.floods.lateFrames = 5 }

    /// Messages of 1 byte, as many as a call's first credit pays for.
    private static let inFlight = WireLimits().callCredit / (1 + WireLimits.streamMessageCost)

    /// A stream whose server ends it at once, with all that its client may have under way still to come.
    private func endEarly(_ server: TestServer, _ id: CallID) {
        server.receive { $0.writeTestStream(id, .clientStreaming) }
        server.connection.fail(id, with: WireStatus(code: 9, processed: .yes))
    }

    @Test("What was under way when calls ended early is no flood, however many they are")
    func lateFramesOfEndedStreams() throws {
        let server = try TestServer(Self.streams, acceptsStreams: true)
        for id in 1...10 as ClosedRange<UInt32> { endEarly(server, CallID(rawValue: id)) }
        for id in 1...10 as ClosedRange<UInt32> {
            server.receive { output in
                for _ in 0..<Self.inFlight { output.writeTestWhole(CallID(rawValue: id), 1) }
                output.writeEnd(CallID(rawValue: id))
            }
        }
        #expect(!server.isClosed)
    }

    @Test("What was under way of requests that were refused is none either")
    func lateFramesOfRefusedRequests() throws {
        let server = try TestServer(Self.streams, requestLimits: [1: 1000])
        for id in 1...100 as ClosedRange<UInt32> {
            server.receive { output in
                output.writeTestCall(CallID(rawValue: id), "a", length: 4_000_000, ends: false)
                for _ in 0..<16 { output.writeTestFragment(CallID(rawValue: id), 16_000) }
            }
        }
        server.receive { $0.writeTestCall(200, "a", length: 900, ends: false, remaining: 1000) }
        server.wait(.milliseconds(1))
        server.receive { for _ in 0..<100 { $0.writeTestFragment(200, 7) } }
        #expect(server.statuses.count == 101)
        #expect(!server.isClosed)
    }

    @Test("More than their credit is, also when other streams go on")
    func lateFramesBeyondCredit() throws {
        let server = try TestServer(Self.streams, acceptsStreams: true)
        endEarly(server, 1)
        let paid = (WireLimits().callCredit + WireLimits.streamMessageCost) / (1 + WireLimits.streamMessageCost)
        server.receive { for _ in 0..<paid + 5 { $0.writeTestWhole(1, 1) } }
        #expect(!server.isClosed)
        server.receive { $0.writeTestWhole(1, 1) }
        #expect(server.closure?.rule == 125)
    }

    @Test("A stream that its client has ended leaves nothing for late frames")
    func endedStreamsLeaveNothing() throws {
        let server = try TestServer(Self.streams, acceptsStreams: true)
        server.receive { output in
            output.writeTestStream(1, .clientStreaming)
            output.writeEnd(1)
        }
        server.connection.succeed(1, message: [])
        server.receive { for _ in 0..<6 { $0.writeTestWhole(1, 1) } }
        #expect(server.closure?.rule == 125)
    }

    @Test("Both ends of this implementation, with streams of small messages that end early, go on")
    func honestClient() throws {
        let limits = WireLimits.defaults { $0.floods.lateFrames = 5 }
        let pair = try Pair(server: limits, acceptsStreams: true)
        pair.handler = { _ in .fail(9) }
        // The server answers each call while most of its stream is under way.
        pair.split = { 4096 }
        for _ in 0..<20 {
            let id = try pair.start([], kind: .bidirectional)
            for _ in 0..<1000 { _ = pair.client.send(id, message: ByteBuffer(bytes: [1])) }
            pair.client.finishRequest(id)
        }
        pair.drive()
        #expect(pair.results.count == 20)
        #expect(pair.serverClosure == nil)
    }

    /// A correct client stays under the limit by itself.
    @Test func clientRationsItsCancels() throws {
        let pair = try Pair(client: Self.limits, server: Self.limits)
        pair.handler = { _ in .keep }
        for _ in 0..<50 {
            let id = try pair.start([1])
            pair.client.cancel(id, now: pair.now)
        }
        pair.drive()
        #expect(pair.serverClosure == nil)
        #expect(pair.results.count == 50)
    }

    @Test func tenThousandFramesInOneRead() throws {
        let server = try TestServer(.defaults { $0.floods.pings = 10_000 })
        server.receive { for value in 0..<10_000 { $0.writePing(UInt64(value)) } }
        #expect(server.sent.count == 10_001)
    }
}
