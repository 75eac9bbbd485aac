import Glibc

/// Times of calls in steps of one percent: no list that grows with the calls.
struct LatencyHistogram: Sendable {
    private static let step = log(1.01)
    /// Up to e^(2700 x log 1.01) ns, more than seven minutes; longer ones count as the last step.
    private static let steps = 2700

    private var counts = [Int](repeating: 0, count: LatencyHistogram.steps)
    private(set) var count = 0
    private(set) var longest = Duration.zero

    mutating func add(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = Double(seconds) * 1e9 + Double(attoseconds) / 1e9
        counts[min(max(Int(log(max(nanoseconds, 1)) / Self.step), 0), Self.steps - 1)] += 1
        count += 1
        longest = max(longest, duration)
    }

    mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        longest = max(longest, other.longest)
    }

    /// The time that `share` of all calls stayed within, at most a percent too high or low, microseconds; 0 without
    /// calls.
    func quantile(_ share: Double) -> Double {
        let rank = max(Int((share * Double(count)).rounded(.up)), 1)
        var seen = 0
        for (index, number) in counts.enumerated() where number > 0 {
            seen += number
            if seen >= rank { return exp((Double(index) + 0.5) * Self.step) / 1000 }
        }
        return 0
    }
}
