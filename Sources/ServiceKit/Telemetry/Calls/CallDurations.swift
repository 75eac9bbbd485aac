package import CoreMetrics
package import RPCCore

/// How long one method's calls take, by status code: every instrument is there before the first call.
package struct CallDurations: Sendable {
    /// By the number of the code.
    private let timers: [CoreMetrics.Timer]

    /// - Parameter metric: With the labels service, method and code.
    package init(_ metric: MetricDefinition, _ method: MethodDescriptor, factory: any MetricsFactory) {
        timers = StatusCode.allCases.map { code in
            CoreMetrics.Timer(label: metric.name, dimensions: method.labels(code), factory: factory)
        }
    }

    package func record(_ duration: Duration, _ code: StatusCode) {
        timers[Int(code.rawValue)].recordNanoseconds(duration.metricNanoseconds)
    }
}

extension MethodDescriptor {
    package var labels: [(String, String)] {
        [(MetricLabel.service.rawValue, service), (MetricLabel.method.rawValue, name)]
    }

    func labels(_ code: StatusCode) -> [(String, String)] { labels + [(MetricLabel.code.rawValue, code.name)] }
}
