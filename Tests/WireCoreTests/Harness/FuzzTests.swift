import NIOCore
import TestSupport
import Testing

@testable import WireCore

/// Bytes and operations at random: no trap, no hang, every promise kept. The seed is printed; `LOCKSTEP_TEST_SEED` replays.
struct FuzzTests {
    private static func corpus(_ name: String) throws -> [[UInt8]] {
        try Vectors.load(name, as: ConnectionVector.self).map { vector in
            try vector.receive.flatMap { Array(try Vectors.bytes($0).readableBytesView) }
        }.filter { $0.count < 4000 }
    }

    private static func mutate(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0...5, using: &random) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
            case 4: bytes.removeLast(bytes.count - index)
            default: bytes += bytes[index...]
            }
        }
        return bytes
    }

    private static func pieces(_ bytes: [UInt8], _ random: inout SeededRandom) -> [ByteBuffer] {
        var pieces: [ByteBuffer] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let size = Int.random(in: 1...rest.count, using: &random)
            pieces.append(ByteBuffer(bytes: rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return pieces
    }

    @Test(arguments: [false, true])
    func mutatedBytesToAServer(_ acceptsStreams: Bool) throws {
        var random = SeededRandom("mutatedBytesToAServer")
        let corpus = try Self.corpus("server")
        for _ in 0..<1500 {
            guard let sample = corpus.randomElement(using: &random) else { continue }
            let server = try TestServer(peer: nil, acceptsStreams: acceptsStreams)
            for piece in Self.pieces(Self.mutate(sample, &random), &random) {
                server.receive(piece)
                server.wait(.milliseconds(UInt64.random(in: 0...50, using: &random)))
                for call in server.calls where Bool.random(using: &random) { Self.operate(server, call, &random) }
            }
            server.connection.connectionClosed(now: server.now)
            server.pull()
            #expect(server.closedCount == 1)
            let statuses = server.statuses.map(\.call)
            #expect(Set(statuses).count == statuses.count, "one STATUS per call")
            let aborted = server.events.compactMap { if case .aborted(let id) = $0 { id } else { nil } }
            #expect(Set(aborted).count == aborted.count, "a handler is let go once")
        }
    }

    /// Something that a handler may do.
    private static func operate(_ server: TestServer, _ call: IncomingCall, _ random: inout SeededRandom) {
        switch Int.random(in: 0...3, using: &random) {
        case 0 where call.kind.serverStreams: server.connection.finish(call.id)
        case 0: server.connection.succeed(call.id, message: [1])
        case 1: server.connection.fail(call.id, with: WireStatus(code: 9, processed: .yes))
        case 2: server.connection.take(call.id)
        default: _ = server.connection.send(call.id, message: ByteBuffer(repeating: 1, count: 1000))
        }
        server.pull()
    }

    @Test(arguments: WireCallKind.allCases)
    func mutatedBytesToAClient(_ kind: WireCallKind) throws {
        var random = SeededRandom("mutatedBytesToAClient \(kind)")
        let corpus = try Self.corpus("client")
        for _ in 0..<1500 {
            guard let sample = corpus.randomElement(using: &random) else { continue }
            let client = try TestClient()
            let hello = helloBytes(.server).readableBytes
            for _ in 0..<3 { try client.start(kind: kind, within: .seconds(1)) }
            let mutated = Self.mutate(Array(sample.dropFirst(hello)), &random)
            for piece in Self.pieces(mutated, &random) {
                client.receive(piece)
                let id = CallID(rawValue: UInt32.random(in: 1...3, using: &random))
                switch Int.random(in: 0...4, using: &random) {
                case 0: client.connection.take(id)
                case 1: client.connection.finishRequest(id)
                case 2: client.cancel(id)
                default: _ = client.connection.send(id, message: ByteBuffer(repeating: 1, count: 100))
                }
            }
            client.connection.connectionClosed(now: client.now)
            client.pull()
            #expect(client.closedCount == 1)
            #expect(client.results.map(\.call).sorted() == [1, 2, 3])
        }
    }

    @Test func everyTruncationIsQuietUntilTheEnd() throws {
        for sample in try Self.corpus("server").prefix(60) {
            for length in stride(from: 0, to: sample.count, by: 7) {
                let server = try TestServer(peer: nil)
                server.receive(ByteBuffer(bytes: sample.prefix(length)))
                server.connection.connectionClosed(now: server.now)
                server.pull()
                #expect(server.closedCount == 1)
            }
        }
    }

    /// Random wishes of both applications, random splits, time, drains and cuts: each call ends exactly once, and what
    /// says "not processed" never reached a handler.
    @Test(arguments: 0..<60)
    func everyCallEndsExactlyOnce(_ round: Int) throws {
        var random = SeededRandom("everyCallEndsExactlyOnce \(round)")
        let narrow = WireLimits.defaults { limits in
            limits.maxFrameSize = 16 * 1024
            limits.callCredit = 16 * 1024
            limits.connectionCredit = 32 * 1024
            limits.maxConcurrentCalls = 20
        }
        let pair = try Pair(client: narrow, server: round % 2 == 0 ? narrow : .defaults { $0.maxConcurrentCalls = 8 })
        var seen: Set<CallID> = []
        var started: Set<CallID> = []
        let keeps = Bool.random(using: &random)
        pair.handler = { call in
            seen.insert(call.id)
            return keeps ? .keep : .succeed(call.message.array)
        }
        for _ in 0..<300 {
            switch Int.random(in: 0...11, using: &random) {
            case 0...4:
                let size = [0, 10, 70_000, 200_000].randomElement(using: &random) ?? 0
                let millis = UInt64.random(in: 1...50, using: &random)
                let within: WireDuration? = Bool.random(using: &random) ? .milliseconds(millis) : nil
                if let id = try? pair.start([UInt8](repeating: 5, count: size), within: within) { started.insert(id) }
            case 5:
                if let id = started.randomElement(using: &random) { pair.client.cancel(id, now: pair.now) }
            case 6, 7:
                if let id = pair.open.keys.sorted().randomElement(using: &random) { pair.answer(id, .succeed([1, 2])) }
            case 8:
                if let id = pair.open.keys.sorted().randomElement(using: &random) { pair.answer(id, .fail(9)) }
            case 9: pair.wait(.milliseconds(UInt64.random(in: 0...30, using: &random)))
            default: pair.drive()
            }
        }
        switch round % 4 {
        case 0: pair.cut()
        case 1: pair.client.close("test", now: pair.now)
        case 2: pair.server.drain("test", grace: .seconds(1), now: pair.now)
        default: pair.server.close("test", now: pair.now)
        }
        pair.drive()
        pair.wait(.seconds(2))
        let ended = pair.results.map(\.call)
        #expect(ended.count == started.count)
        #expect(Set(ended) == started)
        #expect(pair.clientClosure != nil && pair.serverClosure != nil)
        for (id, result) in pair.results where result.status.processed == .no { #expect(!seen.contains(id)) }
        let rules = [pair.clientClosure?.rule ?? 0, pair.serverClosure?.rule ?? 0]
        #expect(rules.allSatisfy { $0 == 0 || $0 == 104 }, "two correct ends break no rule")
    }
}
