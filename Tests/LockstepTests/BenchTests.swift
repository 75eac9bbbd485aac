@testable import lockstep
import RPCCore
import Synchronization
import Testing

/// A service in memory whose calls do what the test says; keeps how long each took by itself.
final class TimedChannel: RPCChannel {
    private let body: @Sendable (Int) async throws(RPCError) -> Void
    private let state = Mutex((calls: 0, longest: Duration.zero))

    init(_ body: @escaping @Sendable (Int) async throws(RPCError) -> Void) { self.body = body }

    var calls: Int { state.withLock { $0.calls } }
    var longest: Duration { state.withLock { $0.longest } }

    func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
        let number = state.withLock { state in
            defer { state.calls += 1 }
            return state.calls
        }
        let begin = ContinuousClock.now
        try await body(number)
        state.withLock { $0.longest = max($0.longest, begin.duration(to: .now)) }
        return []
    }
}

@Suite struct BenchTests {
    static let method = MethodDescriptor(
        id: 1, service: "test.v1.TestService", name: "Do", execution: .async, cost: nil, callers: [],
        exposure: .internal, maximumLane: .routine,
        deadline: DeadlineRule(default: .seconds(30), maximum: .seconds(30)), requestLimit: 1, responseLimit: 1,
        concurrency: nil, rate: nil, onCancel: .cancel, idempotency: .noSideEffects, http: nil,
        request: MessageDescriptor(name: "test.v1.Request", fields: []),
        response: MessageDescriptor(name: "test.v1.Response", fields: []))

    func load(_ channel: TimedChannel, _ plan: BenchPlan) -> BenchLoad {
        BenchLoad(method: Self.method, request: [], plan: plan, lines: [(channel: channel, executor: nil)])
    }

    @Test("Every call is counted once, with its status")
    func statuses() async {
        let channel = TimedChannel { number throws(RPCError) in
            if number % 3 == 1 { throw RPCError(.unavailable, "gone") }
            if number % 3 == 2 { throw RPCError(.resourceExhausted, "busy") }
        }
        let result = await load(channel, BenchPlan(concurrency: 4, duration: .milliseconds(50))).run()
        #expect(result.calls == channel.calls && result.latencies.count > 0)
        #expect(Set(result.errors.keys).isSubset(of: [.unavailable, .resourceExhausted]))
        #expect(result.failed == result.calls - result.latencies.count)
    }

    /// One place, and calls that take twenty times as long as the rate allows: each waits for all before it.
    @Test("A call that had to wait for its place is counted from when it was due")
    func coordinatedOmission() async {
        let channel = TimedChannel { _ throws(RPCError) in
            // The work of the call, not a wait for anything.
            try? await Task.sleep(for: .milliseconds(20))
        }
        let plan = BenchPlan(concurrency: 1, duration: .milliseconds(300), rate: 1000)
        let open = await load(channel, plan).run()
        #expect(open.latencies.count > 2)
        #expect(open.latencies.longest > channel.longest, "the wait of the calls behind is not in the times")
        #expect(open.notSent == 300 - open.calls)
        let closed = await load(TimedChannel { _ in }, BenchPlan(concurrency: 1, duration: .milliseconds(20))).run()
        #expect(closed.notSent == 0)
    }

    @Test func quantilesAreWithinAPercent() {
        var histogram = LatencyHistogram()
        for value in 1...1000 { histogram.add(.microseconds(value)) }
        for (share, expected) in [(0.5, 500.0), (0.9, 900), (0.99, 990), (0.999, 999)] {
            #expect(abs(histogram.quantile(share) - expected) / expected < 0.011, "\(share)")
        }
        #expect(histogram.longest == .microseconds(1000))
        #expect(LatencyHistogram().quantile(0.5) == 0)
    }

    @Test func theReportNamesWhatWentWrong() {
        var result = BenchResult()
        result.elapsed = .seconds(2)
        for _ in 0..<3 { result.count(RPCError(.unavailable, "nobody \"there\"")) }
        result.count(RPCError(.internal, "broken"))
        let failed = BenchReport(title: "t", method: "a.B/C", result: result)
        #expect(failed.status == 75, "by the error that came most")
        #expect(failed.json.contains("\"calls\":4,\"failed\":4,\"not_sent\":0,\"seconds\":2.0,\"rate\":2.0"))
        #expect(failed.json.hasSuffix("\"errors\":{\"UNAVAILABLE\":3,\"INTERNAL\":1}}"))
        #expect(failed.lines.contains("  first        nobody \"there\""))
        result.latencies.add(.milliseconds(1))
        #expect(BenchReport(title: "t", method: "a.B/C", result: result).status == 0)
    }

    @Test(arguments: [
        ["--concurrency", "0"], ["--connections", "5", "--concurrency", "4"], ["--rate", "0"], ["--duration", "soon"],
        ["--timeout=-1s"],
    ])
    func wrongNumbersAreRefusedKindly(arguments: [String]) async throws {
        let command = try #require(try Lockstep.parseAsRoot(["bench", "A/B"] + arguments) as? Bench)
        let error = await #expect(throws: (any Error).self) { try await command.run() }
        #expect(Lockstep.exitCode(for: try #require(error)).rawValue == 64)
    }
}
