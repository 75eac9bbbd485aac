import NIOCore
import TestSupport
import Testing

@testable import WireCore

/// Streams between a client and a server in memory.
struct StreamTests {
    private func open(_ pair: Pair, _ kind: WireCallKind, _ message: [UInt8] = []) throws -> CallID {
        let call = OutgoingCall(method: 1, kind: kind, message: ByteBuffer(bytes: message))
        let id = try pair.client.startCall(call, now: pair.now)
        pair.drive()
        return id
    }

    private func bytes(_ count: Int, _ value: UInt8 = 7) -> ByteBuffer { ByteBuffer(repeating: value, count: count) }

    /// Messages of both directions in random sizes, cuts and paces: each arrives once, whole and in order.
    @Test(arguments: [16_384, 262_144] as [UInt32])
    func everyMessageArrives(_ credit: UInt32) throws {
        var random = SeededRandom("everyMessageArrives")
        for round in 0..<30 {
            let limits = WireLimits.defaults {
                $0.callCredit = credit
                $0.connectionCredit = max(credit, 64 * 1024)
            }
            let pair = try Pair(client: limits, server: limits, acceptsStreams: true)
            pair.handler = { _ in .keep }
            pair.split = { Int.random(in: 1...50_000, using: &random) }
            let id = try open(pair, .bidirectional)
            let flow = Flow(pair, id)
            let sent = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                (0..<Int.random(in: 0...1, using: &random) * Int.random(in: 0...90_000, using: &random))
                    .map { UInt8(truncatingIfNeeded: $0 &+ round) }
            }
            flow.toServer = sent
            flow.toClient = sent.reversed()
            flow.isSlow = { Bool.random(using: &random) }
            flow.run()
            #expect(flow.atServer == sent)
            #expect(flow.atClient == sent.reversed())
            #expect(pair.result(id)?.status.isOK == true)
            #expect(pair.openCallCounts == [0, 0])
            #expect(pair.server.streams.isEmpty && pair.client.streams.isEmpty)
        }
    }

    @Test func aReaderThatStopsSuspendsItsSenderAndNobodyElse() throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { _ in .keep }
        let (slow, quick) = (try open(pair, .serverStreaming), try open(pair, .serverStreaming))
        var taken = 0
        pair.onClient = { [unowned pair] event in
            guard case .message(quick, let message) = event else { return }
            taken += message.count
            pair.client.take(quick)
        }
        var outcome = SendOutcome.taken
        while outcome == .taken { outcome = pair.server.send(slow, message: bytes(16_384)) }
        for _ in 0..<1000 {
            _ = pair.server.send(slow, message: bytes(1))
            _ = pair.server.send(quick, message: bytes(16_384))
            pair.drive()
        }
        #expect(outcome == .full)
        #expect(taken == 1000 * 16_384)
        let held = pair.clientEvents.reduce(0) { sum, event in
            if case .message(slow, let message) = event { sum + message.count } else { sum }
        }
        #expect(held <= 256 * 1024)
    }

    @Test func aWriterIsToldOnceThatThereIsRoom() throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .serverStreaming)
        var sent = 0
        while pair.server.send(id, message: bytes(60_000)) == .taken { sent += 1 }
        pair.drive()
        #expect(pair.serverEvents.count { $0 == .writable(id) } == 1)
        #expect(pair.server.send(id, message: bytes(10)) == .taken)
        #expect(sent == 2)
    }

    @Test func aWriterIsToldThoughAnotherHasWrittenSince() throws {
        let limits = WireLimits.defaults { $0.callCredit = 64 * 1024 }
        let pair = try Pair(client: limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .serverStreaming)
        while pair.server.send(id, message: bytes(60_000)) == .taken {}
        // What the credit allows has left; there is room for a small message of somebody else's, not for the one who waits.
        pair.drive()
        #expect(pair.server.send(id, message: bytes(10)) == .taken)
        #expect(!pair.serverEvents.contains(.writable(id)))
        pair.onClient = { [unowned pair] in if case .message(let id, _) = $0 { pair.client.take(id) } }
        for case .message(let id, _) in pair.clientEvents { pair.client.take(id) }
        pair.drive()
        #expect(pair.serverEvents.count { $0 == .writable(id) } == 1)
    }

    @Test func emptyMessagesCostCredit() throws {
        let limits = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let pair = try Pair(client: limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .serverStreaming)
        for _ in 0..<2000 { _ = pair.server.send(id, message: ByteBuffer()) }
        pair.drive()
        let held = pair.clientEvents.count { if case .message = $0 { true } else { false } }
        #expect(held == 16 * 1024 / 32)
        pair.onClient = { [unowned pair] in if case .message(let id, _) = $0 { pair.client.take(id) } }
        for _ in 0..<held { pair.client.take(id) }
        pair.drive()
        #expect(pair.clientEvents.count { if case .message = $0 { true } else { false } } == 2000)
    }

    @Test func aMessageLongerThanTheCreditGetsMore() throws {
        let limits = WireLimits.defaults { $0.callCredit = 16 * 1024 }
        let pair = try Pair(client: limits, server: limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .bidirectional)
        #expect(pair.client.send(id, message: bytes(1_000_000)) == .full)
        #expect(pair.server.send(id, message: bytes(1_000_000)) == .full)
        pair.drive()
        let atServer = pair.serverEvents.contains(.message(id, .buffer(bytes(1_000_000))))
        let atClient = pair.clientEvents.contains(.message(id, .buffer(bytes(1_000_000))))
        #expect(atServer && atClient)
    }

    @Test func longMessagesNeedRoomInTheBudgetUntilTheyAreTaken() throws {
        let limits = WireLimits.defaults {
            $0.callCredit = 16 * 1024
            $0.maxMessageSize = 80_000
            $0.maxReassembly = 100_000
        }
        let pair = try Pair(server: limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let (first, second) = (try open(pair, .clientStreaming), try open(pair, .clientStreaming))
        _ = pair.client.send(first, message: bytes(60_000))
        pair.drive()
        _ = pair.client.send(second, message: bytes(60_000))
        pair.drive()
        #expect(pair.result(second)?.status.code == WireStatusCode.resourceExhausted)
        #expect(pair.serverEvents.contains(.aborted(second)))
        pair.server.take(first)
        let third = try open(pair, .clientStreaming)
        _ = pair.client.send(third, message: bytes(60_000))
        pair.drive()
        #expect(pair.serverEvents.contains(.message(third, .buffer(bytes(60_000)))))
        #expect(pair.clientClosure == nil)
    }

    @Test func endRidesOnTheLastFragmentOrStandsAlone() throws {
        let client = try TestClient()
        let empty = OutgoingCall(method: 1, kind: .clientStreaming, message: ByteBuffer())
        let one = try client.connection.startCall(empty, now: client.now)
        let none = try client.connection.startCall(empty, now: client.now)
        _ = client.connection.send(one, message: bytes(5))
        client.connection.finishRequest(one)
        client.connection.finishRequest(none)
        client.connection.finishRequest(none)
        client.pull()
        let ends = client.sent.compactMap { frame in
            switch frame {
            case .message(let id, let message) where message.endsRequest: ["flag", "\(id)"]
            case .end(let id): ["frame", "\(id)"]
            default: nil as [String]?
            }
        }
        #expect(ends.sorted { $0[0] < $1[0] } == [["flag", "\(one)"], ["frame", "\(none)"]])
        #expect(client.connection.send(one, message: bytes(1)) == .ended)
    }

    @Test func aServerMayEndBeforeItsClientDoes() throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .clientStreaming)
        for _ in 0..<20 { _ = pair.client.send(id, message: bytes(100_000)) }
        pair.server.succeed(id, message: [1])
        pair.drive()
        #expect(pair.result(id)?.message == .bytes([1]))
        #expect(pair.client.send(id, message: bytes(1)) == .ended)
        let other = try pair.start([3])
        pair.drive()
        #expect(pair.openCallCounts == [1, 1])
        #expect(pair.serverClosure == nil && pair.open[other] != nil)
    }

    @Test(arguments: [true, false])
    func messagesBeforeAStatusArriveFirst(_ isOK: Bool) throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try open(pair, .serverStreaming)
        _ = pair.server.send(id, message: bytes(100_000))
        if isOK {
            pair.server.finish(id)
        } else {
            pair.server.fail(id, with: WireStatus(code: WireStatusCode.notFound, processed: .yes))
        }
        #expect(pair.server.send(id, message: bytes(1)) == .ended)
        pair.drive()
        guard case .message(id, let message)? = pair.clientEvents.dropLast().last else {
            Issue.record("no message before the end")
            return
        }
        #expect(message.count == 100_000)
        #expect(pair.result(id)?.status.code == (isOK ? WireStatusCode.ok : WireStatusCode.notFound))
        #expect(pair.result(id)?.message == nil)
    }

    @Test(arguments: [true, false])
    func whatStopsACallFreesWhatItsStreamsHeld(_ isCancel: Bool) throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { _ in .keep }
        let call = OutgoingCall(
            method: 1, kind: .bidirectional, deadline: pair.now.advanced(by: .seconds(1)), message: ByteBuffer())
        let id = try pair.client.startCall(call, now: pair.now)
        pair.drive()
        while pair.client.send(id, message: bytes(50_000)) == .taken {}
        while pair.server.send(id, message: bytes(50_000)) == .taken {}
        pair.drive()
        if isCancel { pair.client.cancel(id, now: pair.now) } else { pair.wait(.seconds(2)) }
        pair.drive()
        #expect(pair.server.send(id, message: bytes(1)) == .ended)
        #expect(pair.client.send(id, message: bytes(1)) == .ended)
        #expect(pair.serverEvents.contains(isCancel ? .cancelled(id) : .expired(id)))
        pair.server.finish(id)
        pair.drive()
        #expect(pair.openCallCounts == [0, 0])
        #expect(pair.results.count == 1)
        #expect(pair.client.link.fragments.isIdle && pair.server.link.fragments.isIdle)
    }

    @Test func aSmallCallPassesALargeStream() throws {
        let pair = try Pair(acceptsStreams: true)
        pair.handler = { $0.kind == .unary ? .succeed([1]) : .keep }
        let id = try open(pair, .bidirectional)
        pair.onServer = { [unowned pair] in if case .message(let id, _) = $0 { pair.server.take(id) } }
        _ = pair.client.send(id, message: bytes(4_000_000))
        // One round trip of the stream is under way when the small call starts.
        let small = try pair.start([2])
        for _ in 0..<4 { _ = pair.exchange() }
        #expect(pair.result(small)?.status.isOK == true)
        pair.drive()
        #expect(pair.serverEvents.contains(.message(id, .buffer(bytes(4_000_000)))))
    }
}

/// Plays a script over a bidirectional stream: everybody sends while there is room and takes when the pace says so.
private final class Flow {
    let pair: Pair
    let id: CallID
    var toServer: [[UInt8]] = []
    var toClient: [[UInt8]] = []
    private(set) var atServer: [[UInt8]] = []
    private(set) var atClient: [[UInt8]] = []
    var isSlow: () -> Bool = { false }
    private var untaken = (server: 0, client: 0)
    private var mayWrite = (server: true, client: true)
    private var hasEnded = false
    private var seen = (server: 0, client: 0)

    init(_ pair: Pair, _ id: CallID) {
        self.pair = pair
        self.id = id
    }

    func run() {
        var (request, response) = (toServer[...], toClient[...])
        for _ in 0..<5000 where pair.results.isEmpty {
            while mayWrite.client, let next = request.first {
                mayWrite.client = pair.client.send(id, message: ByteBuffer(bytes: next)) == .taken
                request.removeFirst()
            }
            if request.isEmpty { pair.client.finishRequest(id) }
            while mayWrite.server, let next = response.first {
                mayWrite.server = pair.server.send(id, message: ByteBuffer(bytes: next)) == .taken
                response.removeFirst()
            }
            pair.drive()
            collect()
            takeSome()
            if response.isEmpty, hasEnded { pair.server.finish(id) }
        }
        pair.drive()
        collect()
    }

    private func collect() {
        for event in pair.serverEvents.dropFirst(seen.server) {
            if case .message(_, let message) = event {
                atServer.append(message.array)
                untaken.server += 1
            }
            if case .writable = event { mayWrite.server = true }
            if case .requestEnded = event { hasEnded = true }
        }
        for event in pair.clientEvents.dropFirst(seen.client) {
            if case .message(_, let message) = event {
                atClient.append(message.array)
                untaken.client += 1
            }
            if case .writable = event { mayWrite.client = true }
        }
        seen = (pair.serverEvents.count, pair.clientEvents.count)
    }

    private func takeSome() {
        while untaken.server > 0, !isSlow() {
            pair.server.take(id)
            untaken.server -= 1
        }
        while untaken.client > 0, !isSlow() {
            pair.client.take(id)
            untaken.client -= 1
        }
    }
}
