import Contracts
import CoreMetrics
import Foundation
import ServiceKit
import Testing

/// The alert rules name metrics and labels that there are.
@Suite struct AlertTests {
    static let file = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appending(path: "../../../services/monitoring/alerts.yml")

    static let expressions: [String] = {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.matches(of: /\n +expr: (.+)/).map { String($0.1) }
    }()

    /// Words of PromQL, and labels that Prometheus itself adds.
    static let words: Set = [
        "histogram_quantile", "sum", "by", "rate", "increase", "le", "instance", "job", "up",
    ]

    /// Every name under which Prometheus stores something of ours.
    static let series: Set<String> = {
        let names = MetricCatalogue.all.flatMap { metric -> [String] in
            if case .histogram = metric.kind { return ["_bucket", "_sum", "_count"].map { metric.name + $0 } }
            return [metric.name]
        }
        return Set(names)
    }()

    /// What stands in quotes or brackets is no name.
    static func names(in expression: String) -> [String] {
        let bare = expression.replacing(/"[^"]*"/, with: "").replacing(/\[[^\]]*\]/, with: "")
        return bare.matches(of: /[A-Za-z_][A-Za-z0-9_]*/).map { String($0.0) }
    }

    @Test func thereAreRules() { #expect(Self.expressions.count >= 8) }

    @Test(arguments: expressions)
    func everyNameExists(expression: String) {
        let labels = Set(MetricLabel.allCases.map(\.rawValue))
        for name in Self.names(in: expression) where !Self.words.contains(name) {
            #expect(Self.series.contains(name) || labels.contains(name), "\(name) in \(expression)")
        }
        let usesOurs = Self.names(in: expression).contains { Self.series.contains($0) }
        #expect(usesOurs || expression.hasPrefix("up"))
    }

    @Test(arguments: expressions)
    func everyLabelIsOneOfItsMetric(expression: String) {
        let metrics = MetricCatalogue.all.filter { expression.contains($0.name) }
        let known = Set(metrics.flatMap(\.labels).map(\.rawValue)).union(["instance", "job", "le"])
        let grouped = expression.matches(of: /by \(([^)]*)\)/).flatMap { $0.1.split(separator: ", ") }
        let matched = expression.matches(of: /([a-z_]+)(?:=|!=|=~|!~)"/).map(\.1)
        for label in grouped + matched { #expect(known.contains(String(label)), "\(label) in \(expression)") }
    }

    @Test(arguments: [
        ("histogram_quantile(0.95, ", "rpc_server_call_duration_seconds_bucket", "> 0.5"),
        ("histogram_quantile(0.95, ", "http_server_request_duration_seconds_bucket", "> 0.5"),
        ("rate(process_cpu_seconds_total", "/ process_cpu_cores", "> 0.8"),
        ("queue_depth", "", "> 50"),
        ("sum by (instance) (rate(rpc_server_calls_total{code=~", "/ sum by (instance) (rate(rpc_server_calls_total[", "> 0.01"),
    ])
    func whatWasAgreedIsWatched(start: String, middle: String, end: String) {
        let found = Self.expressions.contains {
            $0.hasPrefix(start) && $0.hasSuffix(end) && (middle.isEmpty || $0.contains(middle))
        }
        #expect(found, "no rule for \(start)")
    }

    /// A rule that names what is not there is found.
    @Test func aWrongNameWouldBeFound() {
        let names = Self.names(in: #"rate(rpc_server_cals_total{code="OK"}[5m]) > 0.01"#)
        #expect(names == ["rate", "rpc_server_cals_total", "code"])
        #expect(!Self.series.contains("rpc_server_cals_total"))
    }

    /// Statuses in an expression are codes of the contract.
    @Test(arguments: expressions)
    func everyCodeIsAStatus(expression: String) throws {
        let domain = LabelDomain(contract: Contract.services)
        for match in expression.matches(of: /code=~"([^"]*)"/) {
            for code in match.1.split(separator: "|") {
                let registry = MetricsRegistry(domain: domain)
                let labels = AuthServiceContract.createSession.labels + [("code", String(code))]
                Counter(label: "rpc_server_calls_total", dimensions: labels, factory: registry).increment()
                #expect(registry.text.contains("metrics_refused_total 0"), "\(code)")
            }
        }
    }
}
