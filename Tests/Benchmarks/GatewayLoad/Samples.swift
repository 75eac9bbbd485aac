import Synchronization

/// What was waited, by label.
final class Samples: Sendable {
    private struct Row {
        var waits: [Duration] = []
        var errors: [String: Int] = [:]
    }

    private let rows = Mutex<[String: Row]>([:])

    func add(_ label: String, _ wait: Duration) { rows.withLock { $0[label, default: Row()].waits.append(wait) } }

    func fail(_ label: String, _ error: String) {
        rows.withLock { $0[label, default: Row()].errors[error, default: 0] += 1 }
    }

    /// One line for each label: how many, p50, p99, the longest, and the errors.
    func report() {
        let rows = rows.withLock { $0.sorted { $0.key < $1.key } }
        for (label, row) in rows {
            let waits = row.waits.sorted()
            let errors = row.errors.map { "\($0.value) x \($0.key)" }.sorted().joined(separator: ", ")
            let texts = [0.5, 0.99, 1].map { Self.padded(Self.milliseconds(Self.quantile($0, of: waits)), 9) }
            print(
                "  \(Self.padded(label, 44, left: true)) \(Self.padded(String(waits.count), 7))"
                    + "  p50 \(texts[0]) ms  p99 \(texts[1]) ms  max \(texts[2]) ms"
                    + (errors.isEmpty ? "" : "  errors: \(errors)"))
        }
    }

    /// One label's figures, in milliseconds.
    func summary(of label: String) -> (count: Int, failed: Int, p50: Double, p99: Double, max: Double) {
        let row = rows.withLock { $0[label] ?? Row() }
        let waits = row.waits.sorted()
        func milliseconds(_ share: Double) -> Double { Self.quantile(share, of: waits) / .milliseconds(1) }
        return (waits.count, row.errors.values.reduce(0, +), milliseconds(0.5), milliseconds(0.99), milliseconds(1))
    }

    private static func quantile(_ share: Double, of sorted: [Duration]) -> Duration {
        guard !sorted.isEmpty else { return .zero }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let tenths = Int((duration / .microseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? text + space : space + text
    }
}
