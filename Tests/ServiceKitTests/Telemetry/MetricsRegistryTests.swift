import Contracts
import CoreMetrics
import RPCCore
import ServiceKit
import Testing

/// Nothing can be measured that is not defined, under no label that the contract does not know.
@Suite struct MetricsRegistryTests {
    let registry = MetricsRegistry(domain: LabelDomain(contract: Contract.services))
    let method = AuthServiceContract.createSession

    func lines(_ prefix: String) -> [String] {
        registry.text.split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
    }

    @Test func numbersAndTimesAreWrittenAsPrometheusReadsThem() {
        let counter = Counter(
            label: "rpc_server_calls_total", dimensions: method.labels + [("code", "OK")], factory: registry)
        counter.increment(by: 3)
        Meter(label: "queue_depth", dimensions: [("queue", "cpu_pool")], factory: registry).set(51)
        Meter(label: "process_cpu_seconds_total", factory: registry).set(1.5)
        #expect(
            lines("rpc_server_calls_total")
                == [#"rpc_server_calls_total{service="lockstep.auth.v1.AuthService",method="CreateSession",code="OK"} 3"#])
        #expect(lines("# TYPE rpc_server_calls_total") == ["# TYPE rpc_server_calls_total counter"])
        #expect(lines("queue_depth") == [#"queue_depth{queue="cpu_pool"} 51"#])
        #expect(lines("process_cpu_seconds_total") == ["process_cpu_seconds_total 1.5"])
    }

    @Test func aHistogramCountsUpToEachBound() {
        let metric = MetricDefinition("test_seconds", .histogram(bounds: [0.1, 0.5]), help: "A test.")
        let registry = MetricsRegistry([metric], domain: LabelDomain(contract: []))
        let timer = CoreMetrics.Timer(label: "test_seconds", factory: registry)
        for milliseconds in [50, 100, 101, 500, 2000] { timer.recordMilliseconds(milliseconds) }
        #expect(
            registry.text == """
                # HELP test_seconds A test.
                # TYPE test_seconds histogram
                test_seconds_bucket{le="0.1"} 2
                test_seconds_bucket{le="0.5"} 4
                test_seconds_bucket{le="+Inf"} 5
                test_seconds_sum 2.751
                test_seconds_count 5

                """)
    }

    @Test func theSameLabelsAreTheSameSeries() {
        for _ in 0..<2 {
            let labels = method.labels + [("code", "OK")]
            Counter(label: "rpc_server_calls_total", dimensions: labels, factory: registry).increment()
        }
        let found = lines("rpc_server_calls_total")
        #expect(found.count == 1 && found.first?.hasSuffix(" 2") == true)
    }

    @Test(arguments: [
        // An address, an identifier, a token and a text where names of the contract belong.
        ("rpc_server_calls_total", [("service", "lockstep.auth.v1.AuthService"), ("method", "me@example.com"), ("code", "OK")]),
        ("rpc_server_calls_total", [("service", "usr_01HZX"), ("method", "CreateSession"), ("code", "OK")]),
        ("rpc_server_calls_total", [("service", "lockstep.auth.v1.AuthService"), ("method", "CreateSession"), ("code", "x")]),
        // A method of another service.
        ("rpc_server_calls_total", [("service", "lockstep.email.v1.EmailService"), ("method", "CreateSession"), ("code", "OK")]),
        // Labels that the metric does not have, too few, too many.
        ("rpc_server_calls_total", [("user", "me@example.com")]),
        ("rpc_server_calls_total", []),
        ("process_cpu_seconds_total", [("address", "203.0.113.9")]),
        ("queue_depth", [("queue", "203.0.113.9")]),
        // A metric that nobody defined, with a name that says too much.
        ("me@example.com", []),
        // A histogram is no counter.
        ("rpc_server_call_duration_seconds",
         [("service", "lockstep.auth.v1.AuthService"), ("method", "CreateSession"), ("code", "OK")]),
    ] as [(String, [(String, String)])])
    func whatIsNotDefinedIsDroppedAndCounted(name: String, labels: [(String, String)]) {
        let before = registry.text
        Counter(label: name, dimensions: labels, factory: registry).increment()
        let after = registry.text
        #expect(after == before.replacing("metrics_refused_total 0", with: "metrics_refused_total 1"))
        #expect(after != before)
    }

    @Test func aFloodOfLabelsMakesNoSeries() {
        for number in 0..<1000 {
            let labels = [("service", "s\(number)"), ("method", "m\(number)"), ("code", "OK")]
            CoreMetrics.Timer(
                label: "rpc_client_call_duration_seconds", dimensions: labels, factory: registry
            ).recordNanoseconds(1)
            Meter(label: "queue_depth", dimensions: [("queue", "q\(number)")], factory: registry).set(1)
        }
        #expect(lines("rpc_client_call_duration_seconds").isEmpty && lines("queue_depth").isEmpty)
        #expect(lines("metrics_refused_total") == ["metrics_refused_total 2000"])
    }

    /// Every label that there is has a list of values, and none of them came from a caller.
    @Test func everyValueIsAWordOfTheContractOrOfTheProgram() {
        let labels = Set(MetricCatalogue.all.flatMap(\.labels))
        #expect(labels == Set(MetricLabel.allCases))
        let names = MetricCatalogue.all.map(\.name)
        #expect(Set(names).count == names.count)
    }
}
