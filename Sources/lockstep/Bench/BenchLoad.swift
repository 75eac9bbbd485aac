import RPCCore
import Synchronization

/// How a method is called over and over.
struct BenchPlan: Sendable {
    /// Calls at once.
    var concurrency = 64
    var duration = Duration.seconds(10)
    /// Calls a second; nil for one call after the other in each place (closed loop).
    var rate: Double?
    var timeout: Duration?

    /// When call number `n`, from 0, is due.
    func due(_ n: Int, from start: ContinuousClock.Instant, _ rate: Double) -> ContinuousClock.Instant {
        start.advanced(by: .seconds(Double(n) / rate))
    }
}

/// What came of it.
struct BenchResult: Sendable {
    /// Of calls that succeeded.
    var latencies = LatencyHistogram()
    /// How often each status came, OK left out.
    var errors: [StatusCode: Int] = [:]
    /// The first failure.
    var firstError: RPCError?
    /// Calls that were due and had no place until the end.
    var notSent = 0
    /// From the first call to the last answer.
    var elapsed = Duration.zero

    var failed: Int { errors.values.reduce(0, +) }
    var calls: Int { latencies.count + failed }

    mutating func add(_ other: BenchResult) {
        latencies.add(other.latencies)
        errors.merge(other.errors, uniquingKeysWith: +)
        firstError = firstError ?? other.firstError
        notSent += other.notSent
    }

    mutating func count(_ error: RPCError) {
        errors[error.code, default: 0] += 1
        firstError = firstError ?? error
    }
}

/// Makes the calls. In the open loop (`rate`) a call that begins late because earlier ones are still out is counted from
/// when it was due: else a server that stalls would be asked less, and look quick (coordinated omission).
struct BenchLoad: Sendable {
    let method: MethodDescriptor
    let request: [UInt8]
    let plan: BenchPlan
    /// Channels, each on its executor; the places are shared out among them.
    let lines: [(channel: any RPCChannel, executor: (any TaskExecutor)?)]

    func run() async -> BenchResult {
        let start = ContinuousClock.now
        let end = start.advanced(by: plan.duration)
        let tickets = Tickets()
        var result = await withTaskGroup(of: BenchResult.self) { group in
            for place in 0..<plan.concurrency {
                let line = lines[place % lines.count]
                group.addTask(executorPreference: line.executor) {
                    if let rate = plan.rate { return await open(line.channel, rate, tickets, start, end) }
                    return await closed(line.channel, end)
                }
            }
            return await group.reduce(into: BenchResult()) { $0.add($1) }
        }
        result.elapsed = start.duration(to: .now)
        if let rate = plan.rate { result.notSent = max(0, due(until: end, start, rate) - result.calls) }
        return result
    }

    private func closed(_ channel: any RPCChannel, _ end: ContinuousClock.Instant) async -> BenchResult {
        var result = BenchResult()
        var begin = ContinuousClock.now
        while begin < end, !Task.isCancelled {
            await call(channel, countedFrom: begin, &result)
            begin = .now
        }
        return result
    }

    private func open(
        _ channel: any RPCChannel, _ rate: Double, _ tickets: Tickets, _ start: ContinuousClock.Instant,
        _ end: ContinuousClock.Instant
    ) async -> BenchResult {
        var result = BenchResult()
        while !Task.isCancelled {
            let due = plan.due(tickets.take(), from: start, rate)
            guard due < end, ContinuousClock.now < end else { break }
            if due > .now {
                try? await Task.sleep(until: due)
                // The place was free: what the timer is late is not the server's.
                await call(channel, countedFrom: .now, &result)
            } else {
                await call(channel, countedFrom: due, &result)
            }
        }
        return result
    }

    private func call(
        _ channel: any RPCChannel, countedFrom begin: ContinuousClock.Instant, _ result: inout BenchResult
    ) async {
        do throws(RPCError) {
            _ = try await channel.call(method, request: request, options: CallOptions(timeout: plan.timeout))
            result.latencies.add(begin.duration(to: .now))
        } catch {
            result.count(error)
        }
    }

    private func due(until end: ContinuousClock.Instant, _ start: ContinuousClock.Instant, _ rate: Double) -> Int {
        let (seconds, attoseconds) = start.duration(to: end).components
        return Int(((Double(seconds) + Double(attoseconds) / 1e18) * rate).rounded(.up))
    }
}

/// Numbers the calls of an open loop.
private final class Tickets: Sendable {
    private let next = Atomic<Int>(0)

    func take() -> Int { next.add(1, ordering: .relaxed).oldValue }
}
