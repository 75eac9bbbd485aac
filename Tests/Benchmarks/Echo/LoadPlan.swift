import Glibc
import RPCTransport

/// What a client does.
struct LoadPlan: Sendable {
    let port: Int
    let connections: Int
    let outstanding: Int
    let size: Int
    let seconds: Double
    let offLoop: Bool
    let stream: Bool
    /// Bytes of the streams that share the connections with the calls; 0: none.
    let beside: Int
    /// Batches are encoded and decoded, each of them.
    let decoded: Bool

    /// Not measured.
    static let warmUp = Duration.seconds(1)

    /// From here on it is measured: for whoever watches the server.
    static func announceStart() {
        print("start")
        fflush(nil)
    }

    var payload: [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0) } }
}

/// What came of it, in the measured time.
struct LoadReport: Sendable {
    var calls = 0
    /// From the beginning on.
    var refused = 0
    /// Bytes of streams beside the calls.
    var streamed = 0
    var seconds = 0.0
    var latencies = Latencies()
    /// CPU that this process used, microseconds.
    var cpu = 0.0

    var json: String {
        let rate = seconds > 0 ? Double(calls) / seconds : 0
        let values: [(String, Double)] = [
            ("calls", Double(calls)), ("refused", Double(refused)), ("streamed", Double(streamed)), ("seconds", seconds), ("rate", rate),
            ("p50_us", latencies.quantile(0.5)), ("p99_us", latencies.quantile(0.99)),
            ("p999_us", latencies.quantile(0.999)), ("cpu_us", cpu),
        ]
        return "{" + values.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }
}

/// A histogram with steps of 3 %: small enough to be no load of its own.
struct Latencies: Sendable {
    private var counts = [Int](repeating: 0, count: 800)
    private var total = 0

    mutating func add(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = Double(seconds) * 1e9 + Double(attoseconds) / 1e9
        counts[min(max(Int(log(max(nanoseconds, 1)) / Self.step), 0), counts.count - 1)] += 1
        total += 1
    }

    mutating func add(_ other: Latencies) {
        for index in counts.indices { counts[index] += other.counts[index] }
        total += other.total
    }

    /// Microseconds.
    func quantile(_ share: Double) -> Double {
        let rank = Int((share * Double(total)).rounded(.up))
        var seen = 0
        for (index, count) in counts.enumerated() where count > 0 {
            seen += count
            if seen >= rank { return exp((Double(index) + 0.5) * Self.step) / 1000 }
        }
        return 0
    }

    private static let step = 0.03
}

/// CPU of this process so far, microseconds.
func processCPU() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let micros = { (time: timeval) in Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
    return micros(usage.ru_utime) + micros(usage.ru_stime)
}

extension StateOptions {
    func tls(_ name: String) throws -> TLSIdentity { try Self.tls(state, name) }

    static func tls(_ state: String, _ name: String) throws -> TLSIdentity {
        try TLSIdentity(
            certificateFile: "\(state)/certs/\(name).pem", keyFile: "\(state)/certs/\(name).key",
            authorityFile: "\(state)/ca.pem")
    }
}
