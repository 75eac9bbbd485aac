import NIOCore
import Testing

@testable import WireCore

/// Age and idleness end a connection, and lose no call (W-108).
struct LifetimeTests {
    private static let limits = WireLimits.defaults { limits in
        limits.maxAge = .seconds(600)
        limits.idleTimeout = .seconds(80)
        limits.drainGrace = .seconds(30)
    }

    @Test("A look is due at the age, or at an eighth of the idle timeout; without either never")
    func looks() {
        let start = WireInstant(nanoseconds: 1_000)
        #expect(Lifetime(.defaults(), now: start).nextTimeout == nil)
        let old = Lifetime(.defaults { $0.maxAge = .seconds(5) }, now: start)
        #expect(old.nextTimeout == start.advanced(by: .seconds(5)))
        let idle = Lifetime(.defaults { $0.idleTimeout = .seconds(80) }, now: start)
        #expect(idle.nextTimeout == start.advanced(by: .seconds(10)))
        #expect(Lifetime(Self.limits, now: start).nextTimeout == start.advanced(by: .seconds(10)))
    }

    /// What a look finds: seconds, open calls, last call, and the verdict.
    private static let looked: [(at: UInt64, open: Int, last: UInt32, verdict: Lifetime.Verdict)] = [
        (10, 0, 0, .goOn), (20, 1, 1, .goOn), (30, 0, 1, .goOn), (90, 0, 1, .goOn), (95, 0, 1, .goOn),
        (100, 0, 2, .goOn), (110, 0, 2, .goOn), (179, 0, 2, .goOn), (189, 0, 2, .idle), (600, 3, 9, .old),
    ]

    @Test("Idle is who has had no call for the whole timeout; old is everybody at the same age")
    func verdicts() {
        let start = WireInstant(nanoseconds: 1_000)
        var life = Lifetime(Self.limits, now: start)
        for (at, open, last, verdict) in Self.looked {
            let now = start.advanced(by: .seconds(at))
            #expect(life.look(now, openCalls: open, lastCall: last) == verdict, "at \(at) s")
        }
    }

    @Test("A server drains an old connection; its calls end")
    func oldServer() throws {
        let pair = try Pair(server: Self.limits)
        pair.handler = { _ in .keep }
        let id = try pair.start([1])
        pair.drive()
        for _ in 0..<60 { pair.wait(.seconds(10)) }
        #expect(pair.clientEvents.contains(.draining(reason: "the connection has reached its age")))
        #expect(pair.serverEvents.contains(.drainAcknowledged(last: id)))
        pair.answer(id, .succeed([2]))
        pair.drive()
        #expect(pair.result(id)?.status.isOK == true)
        #expect(pair.serverClosure?.reason == "drained")
    }

    @Test("A stream that never ends keeps an old connection for the grace, and no longer")
    func endlessStream() throws {
        let pair = try Pair(server: Self.limits, acceptsStreams: true)
        pair.handler = { _ in .keep }
        let id = try pair.start([1], kind: .serverStreaming)
        pair.drive()
        var sent = 0
        for _ in 0..<700 where pair.serverClosure == nil {
            if case .taken = pair.server.send(id, message: ByteBuffer(bytes: [1])) { sent += 1 }
            pair.wait(.seconds(1))
        }
        #expect(pair.serverClosure?.rule == 104)
        #expect(sent == 630)
        #expect(pair.serverEvents.contains(.aborted(id)))
        #expect(pair.result(id)?.status.code == WireStatusCode.unavailable)
    }

    @Test("A server drains an idle connection, and none that is used")
    func idleServer() throws {
        let pair = try Pair(server: .defaults { $0.idleTimeout = .seconds(80) })
        for _ in 0..<30 {
            try pair.start([1])
            pair.wait(.seconds(50))
        }
        #expect(pair.serverClosure == nil)
        for _ in 0..<3 { pair.wait(.seconds(10)) }
        #expect(pair.serverClosure == nil)
        for _ in 0..<3 { pair.wait(.seconds(10)) }
        #expect(pair.clientEvents.contains(.draining(reason: "the connection was idle")))
        #expect(pair.serverClosure?.reason == "drained")
    }

    @Test("A call that runs for long is no idleness")
    func longCall() throws {
        let pair = try Pair(client: Self.limits, server: .defaults { $0.idleTimeout = .seconds(80) })
        pair.handler = { _ in .keep }
        try pair.start([1])
        for _ in 0..<50 { pair.wait(.seconds(10)) }
        #expect(pair.serverClosure == nil && pair.clientClosure == nil)
    }

    @Test("A client ends an idle connection, and says so rather than that it drains")
    func idleClient() throws {
        let pair = try Pair(client: .defaults { $0.idleTimeout = .seconds(80) })
        try pair.start([1])
        for _ in 0..<10 { pair.wait(.seconds(10)) }
        #expect(pair.clientEvents.contains(.idle))
        let hasDrained = pair.clientEvents.contains { if case .draining = $0 { true } else { false } }
        #expect(!hasDrained)
        #expect(pair.clientClosure?.code == CloseCode.none)
        #expect(pair.serverClosure?.origin == .remote)
    }

    @Test("A call that crosses the drain of an idle connection was not processed")
    func crossing() throws {
        let pair = try Pair(
            server: .defaults { limits in
                limits.idleTimeout = .seconds(80)
                limits.keepaliveInterval = .seconds(3600)
            })
        pair.now = pair.now.advanced(by: .seconds(80))
        pair.server.handleTimeout(now: pair.now)
        let id = try pair.start([1])
        pair.drive()
        #expect(pair.result(id)?.status.processed == .no)
        #expect(pair.serverClosure?.reason == "drained")
    }
}
