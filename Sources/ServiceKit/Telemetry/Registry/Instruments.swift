import CoreMetrics
import Synchronization

/// A number that goes up or is set, without a lock: counters, gauges, and counters whose value somebody else keeps.
final class NumberSeries: CounterHandler, FloatingPointCounterHandler, MeterHandler {
    private let bits = Atomic<UInt64>(0.0.bitPattern)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func increment(by amount: Int64) { add(Double(amount)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    func reset() { set(0.0) }

    private func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let sum = Double(bitPattern: seen) + amount
            let (done, found) = bits.weakCompareExchange(
                expected: seen, desired: sum.bitPattern, ordering: .relaxed)
            if done { return }
            seen = found
        }
    }
}

/// How often times fell between which bounds, without a lock.
final class HistogramSeries: TimerHandler {
    /// A count of its own, so that many can stand in an array.
    private final class Cell: Sendable {
        let count = Atomic<UInt64>(0)
    }

    /// Upper bounds in nanoseconds, ascending.
    private let bounds: [Int64]
    /// One for each bound, and one for what is longer than all.
    private let cells: [Cell]
    private let nanoseconds = Atomic<UInt64>(0)

    /// - Parameter bounds: In seconds, ascending.
    init(bounds: [Double]) {
        self.bounds = bounds.map { Int64(($0 * 1e9).rounded()) }
        self.cells = (0...bounds.count).map { _ in Cell() }
    }

    func recordNanoseconds(_ duration: Int64) {
        let duration = max(duration, 0)
        cells[bounds.firstIndex { duration <= $0 } ?? bounds.count].count.add(1, ordering: .relaxed)
        nanoseconds.add(UInt64(duration), ordering: .relaxed)
    }

    /// How many were at most as long as each bound, then how many there were; and their sum in seconds.
    var snapshot: (cumulative: [UInt64], sum: Double) {
        var total: UInt64 = 0
        let cumulative = cells.map { cell in
            total += cell.count.load(ordering: .relaxed)
            return total
        }
        return (cumulative, Double(nanoseconds.load(ordering: .relaxed)) / 1e9)
    }

    var isEmpty: Bool { cells.allSatisfy { $0.count.load(ordering: .relaxed) == 0 } }
}

extension Duration {
    /// For histograms: negative durations count as zero, those beyond 292 years as that.
    package var metricNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }
}
