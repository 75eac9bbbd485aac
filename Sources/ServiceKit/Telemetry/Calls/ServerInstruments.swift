import CoreMetrics
import RPCCore

/// What is measured of the calls that a process answers, resolved for each method when the process starts.
struct ServerInstruments: Sendable {
    /// An object: each call looks one up, and of a value its parts would be counted one by one.
    final class Method: Sendable {
        let durations: CallDurations
        /// By the number of the code.
        let calls: [Counter]
        let held: Counter

        init(_ method: MethodDescriptor, factory: any MetricsFactory) {
            durations = CallDurations(MetricCatalogue.serverDuration, method, factory: factory)
            calls = StatusCode.allCases.map {
                Counter(
                    label: MetricCatalogue.serverCalls.name, dimensions: method.labels($0), factory: factory)
            }
            held = Counter(label: MetricCatalogue.loopHeld.name, dimensions: method.labels, factory: factory)
        }
    }

    private let methods: [UInt32: Method]
    /// Refusals of methods that are not hosted here, by the number of the code.
    private let unknown: [Counter]

    /// - Parameter methods: Those that the process may host.
    init(_ methods: [MethodDescriptor], factory: any MetricsFactory) {
        self.methods = Dictionary(
            methods.map { ($0.id, Method($0, factory: factory)) }, uniquingKeysWith: { first, _ in first })
        unknown = StatusCode.allCases.map { code in
            let labels = [MetricLabel.service, .method].map { ($0.rawValue, LabelDomain.unknown) }
            return Counter(
                label: MetricCatalogue.serverCalls.name, dimensions: labels + [(MetricLabel.code.rawValue, code.name)],
                factory: factory)
        }
    }

    func ended(_ record: CallRecord) {
        guard let method = methods[record.context.method.id] else { return }
        method.calls[Int(record.code.rawValue)].increment()
        method.durations.record(record.queued + record.ran, record.code)
    }

    func refused(_ refusal: CallRefusal) {
        let code = Int(refusal.error.code.rawValue)
        let method = refusal.method.flatMap { methods[$0.id] }
        (method?.calls ?? unknown)[code].increment()
    }

    func held(_ method: MethodDescriptor) { methods[method.id]?.held.increment() }
}
