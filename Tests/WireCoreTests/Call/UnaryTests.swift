import NIOCore
import TestSupport
import Testing

@testable import WireCore

/// Whole calls between a real client and a real server.
struct UnaryTests {
    private static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 251) }
    }

    private static let narrow = WireLimits.defaults { limits in
        limits.maxFrameSize = 16 * 1024
        limits.callCredit = 16 * 1024
        limits.connectionCredit = 32 * 1024
    }

    @Test(arguments: [0, 1, 128, 65_535, 65_536, 300_000, 4 * 1024 * 1024])
    func echo(_ size: Int) throws {
        let pair = try Pair()
        let message = Self.pattern(size)
        let id = try pair.start(message)
        pair.drive()
        #expect(pair.result(id)?.status.code == WireStatusCode.ok)
        #expect(pair.result(id)?.message?.array == message)
        #expect(pair.openCallCounts == [0, 0])
    }

    @Test(arguments: [(300_000, 300_000), (5, 300_000), (300_000, 5), (16_364, 16_356), (16_365, 16_357)])
    func fragmentedThroughNarrowFramesAndCredit(_ request: Int, _ response: Int) throws {
        let pair = try Pair(client: Self.narrow, server: Self.narrow)
        pair.split = { 1000 }
        let answer = Self.pattern(response)
        var got: [UInt8] = []
        pair.handler = { call in
            got = call.message.array
            return .succeed(answer)
        }
        let id = try pair.start(Self.pattern(request))
        pair.drive()
        #expect(got == Self.pattern(request))
        #expect(pair.result(id)?.message?.array == answer)
    }

    @Test func manyLargeCallsTakeTurns() throws {
        let pair = try Pair(client: Self.narrow, server: Self.narrow)
        let messages = (0..<20).map { Self.pattern(100_000 + $0) }
        for message in messages { try pair.start(message) }
        try pair.start([1])
        pair.drive()
        #expect(pair.results.first?.call == 21, "a small call does not wait for large ones")
        for (index, message) in messages.enumerated() {
            let result = pair.result(CallID(rawValue: UInt32(index + 1)))
            #expect(result?.message?.array == message)
        }
    }

    @Test func aThousandAnswersOutOfOrder() throws {
        var random = SeededRandom("aThousandAnswersOutOfOrder")
        let pair = try Pair()
        pair.handler = { _ in .keep }
        for number in 0..<1000 { try pair.start(Array("call \(number)".utf8)) }
        pair.drive()
        #expect(pair.open.count == 1000)
        for call in pair.open.values.shuffled(using: &random) {
            pair.answer(call.id, .succeed(call.message.array))
        }
        pair.drive()
        #expect(pair.results.count == 1000)
        for (id, result) in pair.results {
            #expect(result.message.map { String(decoding: $0.array, as: UTF8.self) } == "call \(id.rawValue - 1)")
        }
    }

    @Test func aBurstSharesOneWrite() throws {
        let pair = try Pair()
        for _ in 0..<100 { try pair.start([1, 2, 3]) }
        let bytes = pair.client.takeOutbound()
        #expect(bytes?.readableBytes == 100 * (FrameHeader.size + CallFrame.fixedSize + 3))
        let more = pair.client.takeOutbound()
        #expect(more == nil)
    }

    @Test func metadataAndStatusTravelWhole() throws {
        let server = try TestServer()
        let client = try TestClient()
        var metadata = WireMetadata()
        metadata.set(.requestID, "req-1")
        metadata.setAttempt(2)
        metadata.append("shade", [0, 255])
        metadata.append("shade", [1])
        let call = OutgoingCall(method: 77, lane: .emergency, metadata: metadata, message: ByteBuffer(string: "x"))
        let id = try client.connection.startCall(call, now: client.now)
        client.connection.takeOutbound().map(server.receive)
        let received = try #require(server.calls.first)
        #expect(received.method == 77 && received.lane == .emergency && received.metadata == metadata)
        #expect(received.metadata.attempt == 2)
        let status = WireStatus(
            code: 9, message: "no ☺ \t\r\n", details: ByteBuffer(bytes: [8, 1]), processed: .maybe, queuedMicros: 5,
            ranMicros: 7, retryAfterMillis: 9, metadata: metadata)
        server.connection.fail(id, with: status)
        server.connection.takeOutbound().map(client.receive)
        #expect(client.results.first?.result == CallResult(status: status, origin: .peer))
    }

    @Test(arguments: Array(0...16) as [UInt32])
    func everyCodeTravels(_ code: UInt32) throws {
        let pair = try Pair()
        pair.handler = { _ in code == 0 ? .succeed([]) : .fail(code) }
        let id = try pair.start([])
        pair.drive()
        #expect(pair.result(id)?.status.code == code)
    }

    @Test func overlongTextIsCutBetweenCharactersAndDetailsAreDropped() throws {
        let server = try TestServer()
        server.receive { $0.writeTestCall(1) }
        let details = ByteBuffer(repeating: 1, count: WireLimits.maxStatusDetailsSize + 1)
        let status = WireStatus(
            code: 2, message: "x" + String(repeating: "é", count: 600), details: details, processed: .no)
        server.connection.fail(1, with: status)
        server.pull()
        let sent = try #require(server.statuses.first?.status)
        #expect(String(buffer: sent.text) == "x" + String(repeating: "é", count: 511))
        #expect(sent.details.readableBytes == 0)
    }

    @Test func aFaultOfTheServersOwnIsNamed() throws {
        let server = try TestServer(peer: .defaults { $0.maxMessageSize = 1024 })
        server.receive {
            $0.writeTestCall(1)
            $0.writeTestCall(2)
            $0.writeTestCall(3)
        }
        server.connection.fail(1, with: WireStatus(code: WireStatusCode.ok, processed: .yes))
        server.connection.succeed(2, message: [UInt8](repeating: 0, count: 1025))
        var metadata = WireMetadata()
        metadata.append("Capital", [])
        server.connection.succeed(3, message: [], metadata: metadata)
        server.pull()
        #expect(server.statusTriples == [[1, 13, 2], [2, 8, 2], [3, 13, 2]])
        #expect(server.connection.succeed(3, message: []) == false, "an answer is given once")
    }

    @Test func requestLimitOfAMethod() throws {
        let server = try TestServer(requestLimits: [1: 3])
        server.receive {
            $0.writeTestCall(1, "abc")
            $0.writeTestCall(2, "abcd")
        }
        #expect(server.calls.map(\.id) == [1])
        #expect(server.statusTriples == [[2, 8, 0]])
    }

    @Test func whatCannotBeSentIsRefusedBeforeItStarts() throws {
        let client = try TestClient(
            peer: .defaults {
                $0.maxMessageSize = 1024
                $0.maxMetadataSize = 1024
                $0.maxConcurrentCalls = 1
            })
        var metadata = WireMetadata()
        metadata.append("k", [UInt8](repeating: 0, count: 1100))
        var capital = WireMetadata()
        capital.append("K", [])
        let empty = ByteBuffer()
        let long = ByteBuffer(repeating: 0, count: 1025)
        #expect(client.refusal(OutgoingCall(method: 1, message: long)) == .messageTooLarge(size: 1025, limit: 1024))
        #expect(
            client.refusal(OutgoingCall(method: 1, metadata: metadata, message: empty))
                == .metadataTooLarge(size: metadata.byteCount, limit: 1024))
        if case .invalidMetadata = client.refusal(OutgoingCall(method: 1, metadata: capital, message: empty)) {
        } else {
            Issue.record("a capital letter in a key")
        }
        #expect(client.refusal(OutgoingCall(method: 1, deadline: client.now, message: empty)) == .deadlineExpired)
        try client.start()
        #expect(client.refusal() == .atCapacity(max: 1))
        #expect(!client.canStartCall)
        client.receive(statusBytes(1, 5))
        #expect(client.events.last == .slotFreed)
        #expect(client.canStartCall)
    }
}
