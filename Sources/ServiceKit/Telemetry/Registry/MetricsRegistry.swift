package import CoreMetrics
package import RPCCore
import Synchronization

/// The process's metrics: a backend of swift-metrics that Prometheus reads.
///
/// Closed: a metric that is not defined, a label that its definition does not have, or a value outside the label's
/// domain gets an instrument that measures nothing, and is counted. What is made once is updated without a lock.
package final class MetricsRegistry: MetricsFactory, Sendable {
    enum Series: Sendable {
        case number(NumberSeries)
        case histogram(HistogramSeries)

        var isUntouched: Bool {
            switch self {
            case .number(let number): number.value == 0
            case .histogram(let histogram): histogram.isEmpty
            }
        }
    }

    private struct State {
        var series: [String: [[String]: Series]] = [:]
        /// Of a metric, the methods whose series are shown before anything was measured; of one that is not here, all.
        var announced: [String: Set<[String]>] = [:]
    }

    private let definitions: [MetricDefinition]
    private let byName: [String: MetricDefinition]
    private let domain: LabelDomain
    private let state = Mutex(State())
    private let refused = NumberSeries()

    package init(_ definitions: [MetricDefinition] = MetricCatalogue.all, domain: LabelDomain) {
        self.definitions = definitions
        self.byName = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.domain = domain
        state.withLock { $0.series[MetricCatalogue.refusedSeries.name] = [[]: .number(refused)] }
    }

    // MARK: Instruments

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        number(label, dimensions, among: [.counter]) ?? NOOPMetricsHandler.instance
    }

    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        number(label, dimensions, among: [.counter]) ?? NOOPMetricsHandler.instance
    }

    /// Also for counters whose value the system keeps, such as CPU time.
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        number(label, dimensions, among: [.gauge, .counter]) ?? NOOPMetricsHandler.instance
    }

    /// Nothing here is a recorder: what `Gauge` makes is dropped and counted, `Meter` takes its place.
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        refused.increment(by: 1.0)
        return NOOPMetricsHandler.instance
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        guard let definition = definition(label, dimensions), case .histogram(let bounds) = definition.kind,
            case .histogram(let series) = find(definition, dimensions, { .histogram(HistogramSeries(bounds: bounds)) })
        else { return refuse() }
        return series
    }

    // Series live as long as the process: their number is bounded.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func number(
        _ label: String, _ dimensions: [(String, String)], among kinds: [MetricDefinition.Kind]
    ) -> NumberSeries? {
        guard let definition = definition(label, dimensions), kinds.contains(definition.kind),
            case .number(let series) = find(definition, dimensions, { .number(NumberSeries()) })
        else {
            refused.increment(by: 1.0)
            return nil
        }
        return series
    }

    private func definition(_ label: String, _ dimensions: [(String, String)]) -> MetricDefinition? {
        byName[label].flatMap { domain.allows(dimensions, for: $0) ? $0 : nil }
    }

    private func refuse() -> NOOPMetricsHandler {
        refused.increment(by: 1.0)
        return .instance
    }

    private func find(
        _ definition: MetricDefinition, _ dimensions: [(String, String)], _ make: () -> Series
    ) -> Series {
        let values = dimensions.map(\.1)
        return state.withLock { state in
            if let series = state.series[definition.name]?[values] { return series }
            let series = make()
            state.series[definition.name, default: [:]][values] = series
            return series
        }
    }

    /// Shows these metrics' series of these methods from the start, and of others once something is measured: a contract has
    /// many more methods than one process hosts or calls.
    package func announce(_ metrics: [MetricDefinition], of methods: [MethodDescriptor]) {
        let names = Set(methods.map { $0.labels.map(\.1) })
        state.withLock { state in
            for metric in metrics { state.announced[metric.name, default: []].formUnion(names) }
        }
    }

    // MARK: Reading

    /// All that is measured, in the order of the definitions: Prometheus's text format, version 0.0.4.
    package var text: String {
        let (series, announced) = state.withLock { ($0.series, $0.announced) }
        var text = PrometheusText()
        for definition in definitions {
            let methods = announced[definition.name]
            let shown = (series[definition.name] ?? [:]).filter { values, series in
                // Service and method are the first two labels.
                methods.map { $0.contains(Array(values.prefix(2))) || !series.isUntouched } ?? true
            }
            let sorted = shown.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            text.add(definition, sorted.map { (values: $0.key, series: $0.value) })
        }
        return text.text
    }
}
