import CoreMetrics
import Synchronization

/// How much waits where, asked of those who know when somebody wants to know.
final class QueueMetrics: Sendable {
    typealias Depth = @Sendable () -> Int

    private let meters: [QueueName: Meter]
    private let depths = Mutex<[QueueName: [Depth]]>([:])

    init(factory: any MetricsFactory) {
        meters = Dictionary(
            uniqueKeysWithValues: QueueName.allCases.map { name in
                let labels = [(MetricLabel.queue.rawValue, name.rawValue)]
                return (name, Meter(label: MetricCatalogue.queueDepth.name, dimensions: labels, factory: factory))
            })
    }

    /// One more that knows: several of one name are added up.
    func add(_ name: QueueName, _ depth: @escaping Depth) {
        depths.withLock { $0[name, default: []].append(depth) }
    }

    var now: [QueueName: Int] {
        let depths = depths.withLock { $0 }
        return depths.mapValues { $0.reduce(0) { $0 + $1() } }
    }

    func update() {
        let now = now
        for (name, meter) in meters { meter.set(now[name] ?? 0) }
    }
}
