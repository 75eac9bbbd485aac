import ArgumentParser
import NIOCore
import NIOPosix
import RPCClient
import RPCCore
import RPCTransport
import ServiceKit
import Synchronization

/// Calls one method at a steady pace, however long the answers take: the load of many who do not wait for each other.
///
/// Every call is sent once: a refusal that is tried again behind the caller's back would be no figure. Times count from
/// when a call was sent; how late that was, which is this process's doing and its neighbours', is told beside them.
struct CallOverload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call-overload", abstract: "Calls at a steady pace and says how it went.")

    @Option(help: "The state directory, with certificates.") var state = ".lockstep"
    @Option(help: "Where the server listens.") var port: Int
    @Option(help: "inline, pool, async, adaptive or mixed.") var method = OverloadMethod.inline
    @Option(help: "routine or emergency.") var lane = "routine"
    @Option(help: "Calls a second.") var rate = 100.0
    @Option(help: "Connections.") var connections = 1
    @Option(help: "Calls under way at most; what would be more is not sent, and counted.") var outstanding = 2000
    @Option(help: "Each so manieth call asks the server to be slow, and is not measured; 0: none.") var slowEvery = 0
    @Option(help: "Seconds that are measured, after one that is not.") var seconds = 3.0

    func run() async throws {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        var options = ClientOptions(connections: connections)
        options.group = loop
        options.retry = .none
        let pool = try ClientPool(
            service: method.service, host: "127.0.0.1", port: port, tls: StateOptions.tls(state, "gateway"),
            options: options)
        let caller = try OverloadCaller(self, pool, loop)
        try await caller.warmUp()
        try await loop.submit { caller.start() }.get()
        try await Task.sleep(for: LoadPlan.warmUp)
        LoadPlan.announceStart()
        try await Task.sleep(for: .seconds(seconds))
        print(try await loop.submit { caller.finish() }.get())
        await pool.shutdown()
    }

    /// Signed by the gateway's key, as a real caller's would be.
    var token: String {
        get throws {
            let signer = try IdentityTokenSigner(
                certificateFile: "\(state)/certs/gateway-identity.pem", keyFile: "\(state)/certs/gateway-identity.key")
            return try signer.sign(
                subject: "usr_bench", session: "ses_bench", roles: ["responder"],
                lane: lane == "emergency" ? .emergency : .routine)
        }
    }
}

/// Lives on one event loop; every tick sends what is due.
///
/// `@unchecked Sendable`: everything is touched on the loop alone, but for `warmUp`, which comes before.
final class OverloadCaller: @unchecked Sendable {
    private let plan: CallOverload
    private let pool: ClientPool
    private let loop: any EventLoop
    private let options: CallOptions
    private let executor: LoopExecutor
    private var began = ContinuousClock.now
    private var sent = 0
    private var underWay = 0
    private var report = Report()

    private struct Report {
        /// Answered within the measured time, whenever they were sent: what the service did in it.
        var done = 0
        /// Sent and answered within it.
        var ok = 0
        var refused = 0
        var failed = 0
        var skipped = 0
        var answers = Latencies()
        var refusals = Latencies()
        var delays = Latencies()
    }

    private static let tick = TimeAmount.milliseconds(1)

    init(_ plan: CallOverload, _ pool: ClientPool, _ loop: any EventLoop) throws {
        (self.plan, self.pool, self.loop) = (plan, pool, loop)
        executor = LoopExecutor(loop)
        var options = CallOptions()
        options.userToken = try plan.token
        options.lane = plan.lane == "emergency" ? .emergency : .routine
        self.options = options
    }

    func warmUp() async throws { _ = try? await pool.call(plan.method.descriptor, request: OverloadMethod.request, options: options) }

    func start() {
        began = .now
        loop.scheduleRepeatedTask(initialDelay: Self.tick, delay: Self.tick) { [self] _ in send() }
    }

    /// What is due by now; calls that fell behind are sent at once, as their callers would have.
    private func send() {
        let (seconds, attoseconds) = began.duration(to: .now).components
        let due = Int((Double(seconds) + Double(attoseconds) / 1e18) * plan.rate)
        while sent < due {
            sent += 1
            if underWay < plan.outstanding { call() } else if isMeasured(.now) { report.skipped += 1 }
        }
    }

    private func isMeasured(_ start: ContinuousClock.Instant) -> Bool { start > began.advanced(by: LoadPlan.warmUp) }

    private func call() {
        underWay += 1
        let isSlow = plan.slowEvery > 0 && sent % plan.slowEvery == 0
        let due = began.advanced(by: .seconds(Double(sent) / plan.rate))
        Task.immediate(executorPreference: executor) { [self] in
            let start = ContinuousClock.now
            if isMeasured(start) { report.delays.add(due.duration(to: start)) }
            do throws(RPCError) {
                let request = isSlow ? OverloadMethod.slowRequest : OverloadMethod.request
                _ = try await pool.call(plan.method.descriptor, request: request, options: options)
                end(start, nil, isSlow)
            } catch {
                end(start, error, isSlow)
            }
        }
    }

    private func end(_ start: ContinuousClock.Instant, _ error: RPCError?, _ isSlow: Bool) {
        underWay -= 1
        let now = ContinuousClock.now
        if error == nil, isMeasured(now) { report.done += 1 }
        guard isMeasured(start) else { return }
        switch error {
        case nil:
            report.ok += 1
            if !isSlow { report.answers.add(start.duration(to: now)) }
        case let error? where error.processed == .no && error.retryAfter != nil:
            report.refused += 1
            report.refusals.add(start.duration(to: now))
        default: report.failed += 1
        }
    }

    func finish() -> String {
        let values: [(String, Double)] = [
            ("seconds", plan.seconds), ("done", Double(report.done)), ("ok", Double(report.ok)), ("refused", Double(report.refused)),
            ("failed", Double(report.failed)), ("skipped", Double(report.skipped)),
            ("p50_us", report.answers.quantile(0.5)), ("p90_us", report.answers.quantile(0.9)),
            ("p99_us", report.answers.quantile(0.99)),
            ("p999_us", report.answers.quantile(0.999)), ("max_us", report.answers.quantile(1)),
            ("late_p50_us", report.delays.quantile(0.5)), ("late_p99_us", report.delays.quantile(0.99)),
            ("refused_p50_us", report.refusals.quantile(0.5)),
            ("refused_p99_us", report.refusals.quantile(0.99)),
        ]
        return "{" + values.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }
}
