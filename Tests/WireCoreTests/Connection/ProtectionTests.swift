import NIOCore
import Testing

@testable import WireCore

/// Attacks of other protocols, tried on this one: the table is in `Tests/RPCTransportTests/Protection/README.md`.
struct ProtectionTests {
    /// Provoked errors (CVE-2025-8671): a call that ends for the client's fault while its handler runs is let go, its
    /// slot is free exactly once, and no more handlers run than there are slots.
    @Test func provokedErrorsFreeEachSlotOnce() throws {
        let limits = WireLimits.defaults { limits in
            limits.maxConcurrentCalls = 4
            limits.maxMessageSize = 1024
        }
        let server = try TestServer(limits, acceptsStreams: true)
        for round in 0..<1000 as Range<UInt32> {
            let id = CallID(rawValue: round + 1)
            server.receive { output in
                output.writeTestStream(id, .bidirectional)
                // Longer than the limit: the call ends (W-40), the connection does not.
                output.writeTestStart(id, length: 2000, 16)
            }
            let open = server.connection.openCallCount
            #expect(open == 0)
        }
        let aborted = server.events.count { if case .aborted = $0 { true } else { false } }
        #expect(server.calls.count == 1000 && aborted == 1000 && server.statuses.count == 1000)
        #expect(!server.isClosed)
    }

    /// What one user's call does is not seen by the next on the same connection (CVE-2024-7246, CVE-2023-32732).
    @Test(arguments: [
        [0, 1, 0x41, 0, 0], [0, 0, 0, 0], [7], [2, 0, 1, 0xff], [1, 0xff, 0xff], [4, 0, 1, 1], [UInt8](repeating: 9, count: 9000),
    ])
    func poisonedMetadataStaysInItsCall(_ poison: [UInt8]) throws {
        let (clean, shared) = (try TestServer(), try TestServer())
        shared.receive { output in
            let call = CallFrame(
                method: 1, remainingMicros: CallFrame.noDeadline, kind: 0, lane: 0, metadata: ByteBuffer(bytes: poison),
                message: MessageStart(length: 0, fragment: ByteBuffer()), endsRequest: true)
            output.writeCall(1, call)
        }
        for server in [clean, shared] {
            server.sent = []
            server.receive { $0.writeTestCall(2, "neighbour") }
            server.connection.succeed(2, message: Array("answer".utf8))
            server.pull()
        }
        #expect(shared.sent == clean.sent && !shared.isClosed)
        #expect(shared.calls.last == clean.calls.last)
    }

    /// Lengths promise and set nothing aside (CVE-2021-36155): with every slot taken by a call that declares the longest
    /// message, what is held is what came.
    @Test func declaredLengthsHoldNoMemory() throws {
        let server = try TestServer(.defaults { $0.maxConcurrentCalls = 64 })
        for id in 1...64 as ClosedRange<UInt32> {
            server.receive { $0.writeTestCall(CallID(rawValue: id), "ab", length: 4 * 1024 * 1024, ends: false) }
        }
        let held = server.connection.requests.values.compactMap { $0?.assembly.body.storageCapacity }
        // As many as the budget pays for were taken in (W-44), none of them with more than its frame.
        #expect(held.count == 8)
        #expect(held.allSatisfy { $0 <= 4096 })
        #expect(server.statuses.count == 56)
    }

    /// What a connection has received and nobody has taken is bounded by credit, whatever the client sends: one byte more than
    /// it ends the connection (W-50).
    @Test func aConnectionHoldsWhatItsLimitsSay() throws {
        let limits = WireLimits.defaults { $0.maxConcurrentCalls = 16 }
        let server = try TestServer(limits, acceptsStreams: true)
        let (size, cost) = (32 * 1024, Int(WireLimits.streamMessageCost))
        let each = Int(limits.callCredit) / (size + cost)
        // Handlers that take nothing, and a client that spends what credit it has on messages that fit it.
        for id in 1...16 as ClosedRange<UInt32> {
            server.receive { $0.writeTestStream(CallID(rawValue: id), .clientStreaming) }
            for _ in 0..<each { server.receive { $0.writeTestWhole(CallID(rawValue: id), size) } }
        }
        let held = server.messages.reduce(0) { $0 + $1.storageCapacity }
        #expect(!server.isClosed && server.messages.count == 16 * each)
        let paid = 16 * each * (size + cost)
        #expect(paid <= Int(limits.connectionCredit))
        #expect(held <= 2 * paid, "buffers round up to a power of two")
        let left = Int(limits.callCredit) - each * (size + cost) - cost
        server.receive { $0.writeTestWhole(1, left + 1) }
        #expect(server.closure?.rule == 50)
    }

    /// A client that asks and never reads: the server stops taking requests at the high water, so that answers wait
    /// within one read of it.
    @Test func answersThatWaitAreBounded() throws {
        let high = 64 * 1024
        let limits = WireLimits.defaults { $0.outboundHighWater = UInt32(high) }
        let server = try TestServer(limits)
        var waiting = 0
        for id in 1...10_000 as ClosedRange<UInt32> where !server.isCongested {
            server.connection.receive(frames { $0.writeTestCall(CallID(rawValue: id)) }, now: server.now)
            while let event = server.connection.nextEvent() {
                if case .call(let call) = event { server.connection.succeed(call.id, message: [UInt8](repeating: 1, count: 1000)) }
            }
            waiting = server.connection.link.output.byteCount
        }
        #expect(server.isCongested)
        #expect(waiting < high + 4096)
    }

    /// A client that asks, answers pings and grants no credit (W-134): above the high water it is refused new calls, and never
    /// is more kept than the bound.
    @Test func answersWithoutCreditAreBounded() throws {
        let (bound, size) = (8 * 1024 * 1024, 1024 * 1024)
        let limits = WireLimits.defaults { limits in
            limits.maxUnsent = UInt32(bound)
            limits.unsentHighWater = UInt32(bound / 2)
        }
        let server = try TestServer(limits)
        // All are in before the first has its answer.
        for id in 1...64 as ClosedRange<UInt32> { server.receive { $0.writeTestCall(CallID(rawValue: id)) } }
        #expect(server.calls.count == 64)
        for id in 1...64 as ClosedRange<UInt32> {
            server.connection.succeed(CallID(rawValue: id), message: [UInt8](repeating: 1, count: size))
            server.pull()
            let waiting = server.connection.link.fragments.waiting
            #expect(waiting <= bound)
        }
        let dropped = server.statuses.filter { $0.status.code == WireStatusCode.resourceExhausted }
        #expect(dropped.count >= 64 - bound / size - 4 && dropped.allSatisfy { $0.status.processed == .yes })
        #expect(server.connection.link.fragments.waiting > bound / 2)
        server.receive { $0.writeTestCall(65) }
        let refused = server.statuses.last { $0.call == 65 }?.status
        #expect(server.calls.count == 64 && refused?.code == WireStatusCode.resourceExhausted)
        #expect(refused?.processed == .no && refused?.retryAfterMillis == 100)
        // The neighbour on another connection, and this one as soon as it takes what it asked for.
        for id in 1...64 as ClosedRange<UInt32> {
            server.receive { $0.writeCancel(CallID(rawValue: id)) }
        }
        #expect(server.connection.link.fragments.waiting == 0 && !server.isClosed)
        server.receive { $0.writeTestCall(66) }
        #expect(server.calls.count == 65)
    }
}
