import Glibc
import NIOCore
import NIOEmbedded
import NIOPosix
import RPCCore
import Testing
import WireCore

@testable import RPCTransport

/// One event loop and its clock, both moved by the test; each piece of work takes as long as it says.
@Suite struct LoopQueueTests {
    private final class Bench {
        let loop = EmbeddedEventLoop()
        var now = MonotonicInstant.now
        var seen: [String] = []
        private(set) lazy var queue = LoopQueue(loop) { [unowned self] in now }

        func add(
            _ name: String, _ lane: Lane = .routine, takes: Duration = .microseconds(120),
            timeout: Duration = .seconds(5)
        ) throws -> UInt64 {
            let context = CallContext(
                method: .test("Inline", execution: .sync, cost: .inline(limit: 10)),
                peer: try #require(PeerIdentity(service: "gateway")), deadline: .after(timeout, now: now), lane: lane,
                requestID: RequestID("req_1") ?? RequestID())
            return try queue.add(context, now: now) { [unowned self] turn in
                seen.append(turn == .run ? name : "\(name) \(turn)")
                if turn == .run { now = now + takes }
            }
        }

        /// One turn of the loop: what has come from the sockets would be read before it.
        func turn() { loop.advanceTime(by: .microseconds(10)) }
    }

    @Test("A call runs at once while nothing waits, and a burst after it was read no more")
    func free() {
        let bench = Bench()
        #expect(bench.queue.isFree(for: .routine, waited: .zero))
        #expect(bench.queue.isFree(for: .routine, waited: WireDuration(nanoseconds: LoopQueue.burst.nanoseconds - 1)))
        #expect(!bench.queue.isFree(for: .routine, waited: LoopQueue.burst))
    }

    @Test("While routine calls wait, routine calls wait behind them, and emergencies do not")
    func emergency() throws {
        let bench = Bench()
        _ = try bench.add("a")
        #expect(!bench.queue.isFree(for: .routine, waited: .zero))
        #expect(bench.queue.isFree(for: .emergency, waited: .seconds(1)))
    }

    @Test("Work is done in slices, with a turn of the loop between them")
    func slices() throws {
        let bench = Bench()
        for name in ["a", "b", "c", "d", "e"] { _ = try bench.add(name) }
        #expect(bench.seen.isEmpty, "nothing runs while a burst is being read")
        bench.turn()
        #expect(bench.seen == ["a", "b"], "two of 120 us are a slice of 200 us")
        bench.turn()
        #expect(bench.seen == ["a", "b", "c", "d"])
        bench.turn()
        bench.turn()
        #expect(bench.seen == ["a", "b", "c", "d", "e"])
        #expect(bench.queue.isFree(for: .routine, waited: .zero))
    }

    @Test("A flood of emergencies loses its right of way, then shares the loop, then has it back")
    func flood() throws {
        let bench = Bench()
        _ = try bench.add("r", takes: LoopQueue.allowance)
        bench.queue.runAhead { bench.now = bench.now + (LoopQueue.allowance - .microseconds(1)) }
        #expect(bench.queue.isFree(for: .emergency, waited: .zero))
        bench.queue.runAhead { bench.now = bench.now + .microseconds(1) }
        #expect(!bench.queue.isFree(for: .emergency, waited: .zero))
        _ = try bench.add("e", .emergency)
        bench.turn()
        #expect(bench.seen == ["r"], "it is the routine call's turn")
        bench.turn()
        #expect(bench.seen == ["r", "e"])
        _ = try bench.add("r2")
        #expect(bench.queue.isFree(for: .emergency, waited: .zero))
    }

    @Test("What waited too long or beyond its deadline is given back, and what was taken out is not called")
    func givenBack() throws {
        let bench = Bench()
        _ = try bench.add("late", timeout: .milliseconds(50))
        _ = try bench.add("overdue")
        let gone = try bench.add("gone")
        #expect(bench.queue.remove(gone))
        #expect(!bench.queue.remove(gone))
        bench.now = bench.now + (LoopQueue.longestWait * 2)
        bench.turn()
        #expect(bench.seen == ["late expired", "overdue overdue"])
    }

    @Test("What would wait longer than a call of microseconds may is refused at once, with advice")
    func refusal() throws {
        let bench = Bench()
        let takes = Duration.milliseconds(300)
        for _ in 1..<LoopQueue.samples {
            _ = try bench.add("teaches", takes: takes)
            bench.turn()
        }
        // Nobody is refused for what so few have taken.
        for _ in 0..<10 { _ = try bench.add("teaches", takes: takes, timeout: .seconds(60)) }
        while !bench.queue.isEmpty { bench.turn() }
        var refusals: [QueueRefusal] = []
        for _ in 0..<10 {
            do {
                _ = try bench.add("r", takes: takes, timeout: .seconds(60))
            } catch let refusal as QueueRefusal {
                refusals.append(refusal)
            }
        }
        // Four wait for 900 ms and less; one more would for 1.2 s.
        #expect(refusals == Array(repeating: .full(retryAfter: .milliseconds(200)), count: 6))
        _ = try bench.add("e", .emergency)
    }

    @Test("One who held the loop for long makes nobody wait who comes after the queue was empty")
    func relaxes() throws {
        let bench = Bench()
        let takes = Duration.microseconds(150)
        for _ in 0..<LoopQueue.samples { _ = try bench.add("teaches", takes: takes) }
        bench.turn()
        bench.now = bench.now + .seconds(2)
        while !bench.queue.isEmpty { bench.turn() }
        for _ in 0..<1000 { _ = try bench.add("later", takes: takes) }
    }

    @Test("What a loop does between slices is foreseen: nobody is let in who would then wait too long")
    func strain() throws {
        let bench = Bench()
        var refused = 0
        for index in 0..<20_000 {
            bench.now = bench.now + .microseconds(100)
            do { _ = try bench.add("\(index)", takes: .microseconds(200)) } catch is QueueRefusal { refused += 1 }
            // Slices have half of the time, reading the other.
            if index.isMultiple(of: 4) { bench.turn() }
        }
        #expect(refused > 10_000)
        #expect(bench.seen.count > 4_500)
        #expect(bench.seen.allSatisfy { !$0.hasSuffix("overdue") })
    }

    @Test("While both lanes ask for more than there is, routine work has half of the loop")
    func bothLanes() throws {
        let bench = Bench()
        let takes = Duration.microseconds(250)
        for _ in 0..<8_000 {
            bench.now = bench.now + .microseconds(100)
            for lane in [Lane.emergency, .emergency, .routine, .routine] {
                if lane == .emergency, bench.queue.isFree(for: lane, waited: .zero) {
                    bench.queue.runAhead { bench.now = bench.now + takes }
                    bench.seen.append("emergency")
                } else {
                    _ = try? bench.add("\(lane)", lane, takes: takes)
                }
            }
            bench.turn()
        }
        let routine = bench.seen.count { $0 == "routine" }
        let emergency = bench.seen.count { $0 == "emergency" }
        #expect(abs(routine - emergency) < (routine + emergency) / 50, "\(routine) and \(emergency)")
        #expect(routine + emergency > 7_000)
    }

    @Test("Between slices a loop reads, however much there is to send")
    func reads() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (reader, writer) = (ends[0], ends[1])
        let run = try await loop.submit { NIOLoopBound(Reading(loop, writer: writer), eventLoop: loop) }.get()
        let channel = try await NIOPipeBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(run.value) }
            }
            .takingOwnershipOfDescriptor(input: reader).get()
        let ranBefore = try await loop.flatSubmit { run.value.begin() }.get()
        #expect(ranBefore < Reading.jobs / 2, "\(ranBefore) of \(Reading.jobs) calls ran before the loop looked at its sockets")
        try await channel.close().get()
        close(writer)
        try await group.shutdownGracefully()
    }

    /// Queued calls, the first of which makes something readable; each one's answer takes longer than the pause.
    private final class Reading: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        static let jobs = 40
        private let (loop, writer): (any EventLoop, CInt)
        private let queue: LoopQueue
        private let read: EventLoopPromise<Int>
        private var ran = 0

        init(_ loop: any EventLoop, writer: CInt) {
            (self.loop, self.writer) = (loop, writer)
            // Long enough for a machine that has other things to do.
            queue = LoopQueue(loop, pause: .milliseconds(5))
            read = loop.makePromise()
        }

        func begin() -> EventLoopFuture<Int> {
            do {
                for _ in 0..<Self.jobs { try add() }
            } catch {
                read.fail(error)
            }
            return read.futureResult
        }

        private func add() throws {
            guard let peer = PeerIdentity(service: "gateway") else { return }
            let context = CallContext(
                method: .test("Inline", execution: .sync, cost: .inline(limit: 10)), peer: peer,
                deadline: .after(.seconds(60)), lane: .emergency, requestID: RequestID("req_1") ?? RequestID())
            _ = try queue.add(context, now: .now) { [unowned self] _ in
                ran += 1
                if ran == 1 { _ = Glibc.write(writer, [1], 1) }
                Self.spin(LoopQueue.slice)
                loop.assumeIsolated().execute { Self.spin(.milliseconds(1)) }
            }
        }

        private static func spin(_ time: Duration) {
            let end = MonotonicInstant.now.advanced(by: time)
            while MonotonicInstant.now < end {}
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { read.succeed(ran) }
    }
}
