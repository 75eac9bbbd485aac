import Foundation
import RPCCore

/// What `bench` prints.
struct BenchReport {
    let title: String
    let method: String
    let result: BenchResult

    private static let shares: [(String, Double)] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)]

    var lines: [String] {
        var rows = [["calls", "\(result.calls), \(String(format: "%.1f", rate)) a second, \(result.failed) failed"]]
        if result.latencies.count > 0 {
            let times = Self.shares.map { "\($0) \(Self.text(result.latencies.quantile($1)))" }
            rows.append(["latency", times.joined(separator: "  ") + "  max \(Self.text(Self.microseconds(result.latencies.longest)))"])
        }
        for (code, count) in errors { rows.append([code.name, "\(count)"]) }
        if let error = result.firstError { rows.append(["first", error.message]) }
        if result.notSent > 0 {
            rows.append(["not sent", "\(result.notSent) calls were due and found no free place: raise --concurrency"])
        }
        return [title] + Table.lines(rows, indent: 2)
    }

    /// Latencies in microseconds.
    var json: String {
        let times = Self.shares.map { ($0, Self.number(result.latencies.quantile($1))) }
            + [("max", Self.number(Self.microseconds(result.latencies.longest)))]
        return JSONText.object([
            ("method", JSONText.quoted(method)), ("calls", "\(result.calls)"), ("failed", "\(result.failed)"),
            ("not_sent", "\(result.notSent)"), ("seconds", Self.number(seconds)), ("rate", Self.number(rate)),
            ("latency_us", JSONText.object(times)),
            ("errors", JSONText.object(errors.map { ($0.name, "\($1)") })),
        ])
    }

    /// 0 as soon as calls succeeded; else by the error that came most.
    var status: Int32 {
        guard result.latencies.count == 0, let worst = errors.first else { return 0 }
        return CallReport(error: RPCError(worst.code, "")).status
    }

    /// Most frequent first.
    private var errors: [(code: StatusCode, count: Int)] {
        result.errors.map { (code: $0.key, count: $0.value) }
            .sorted { ($0.count, $1.code.rawValue) > ($1.count, $0.code.rawValue) }
    }

    private var seconds: Double { Self.microseconds(result.elapsed) / 1e6 }
    /// Answers a second, good ones and others.
    private var rate: Double { seconds > 0 ? Double(result.calls) / seconds : 0 }

    private static func microseconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) * 1e6 + Double(attoseconds) / 1e12
    }

    private static func text(_ microseconds: Double) -> String {
        microseconds < 1000
            ? String(format: "%.0f us", microseconds)
            : microseconds < 1e6 ? String(format: "%.2f ms", microseconds / 1e3) : String(format: "%.2f s", microseconds / 1e6)
    }

    private static func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
