/// Prometheus's text exposition format, version 0.0.4.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// One metric with all its series. Histograms that have seen nothing are left out, those of OK excepted: an error
    /// that never happened has no series, a method that nobody called has one that says so.
    mutating func add(_ definition: MetricDefinition, _ series: [(values: [String], series: MetricsRegistry.Series)]) {
        text += "# HELP \(definition.name) \(definition.help)\n# TYPE \(definition.name) \(definition.kind.word)\n"
        for (values, series) in series {
            let labels = zip(definition.labels, values).map { "\($0.rawValue)=\"\(Self.escaped($1))\"" }
            switch series {
            case .number(let number): line(definition.name, labels, Self.number(number.value))
            case .histogram(let histogram):
                guard !histogram.isEmpty || !Self.isError(definition, values) else { continue }
                add(histogram, definition, labels)
            }
        }
    }

    private mutating func add(_ histogram: HistogramSeries, _ definition: MetricDefinition, _ labels: [String]) {
        guard case .histogram(let bounds) = definition.kind else { return }
        let (cumulative, sum) = histogram.snapshot
        for (bound, count) in zip(bounds.map(Self.number) + ["+Inf"], cumulative) {
            line(definition.name + "_bucket", labels + ["le=\"\(bound)\""], String(count))
        }
        line(definition.name + "_sum", labels, Self.number(sum))
        line(definition.name + "_count", labels, String(cumulative.last ?? 0))
    }

    private mutating func line(_ name: String, _ labels: [String], _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels.joined(separator: ","))} \(value)\n"
    }

    private static func isError(_ definition: MetricDefinition, _ values: [String]) -> Bool {
        zip(definition.labels, values).contains { label, value in
            switch label {
            case .code: value != "OK"
            case .statusClass: value != "2xx"
            case .outcome: value != "ok"
            default: false
            }
        }
    }

    /// Whole numbers without a point, as people write them.
    private static func number(_ value: Double) -> String {
        Int64(exactly: value).map(String.init) ?? "\(value)"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

extension MetricDefinition.Kind {
    fileprivate var word: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
