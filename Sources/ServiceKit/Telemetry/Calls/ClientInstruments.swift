package import CoreMetrics
package import RPCCore

/// What is measured of the calls that a process makes, resolved for each method when the process starts.
package struct ClientInstruments: Sendable {
    package struct Method: Sendable {
        package let durations: CallDurations
        package let inFlight: Meter
    }

    private let methods: [UInt32: Method]

    /// - Parameter methods: Those that the process may call.
    package init(_ methods: [MethodDescriptor], factory: any MetricsFactory) {
        self.methods = Dictionary(
            methods.map { method in
                let inFlight = Meter(
                    label: MetricCatalogue.clientInFlight.name, dimensions: method.labels, factory: factory)
                let durations = CallDurations(MetricCatalogue.clientDuration, method, factory: factory)
                return (method.id, Method(durations: durations, inFlight: inFlight))
            }, uniquingKeysWith: { first, _ in first })
    }

    package subscript(_ method: MethodDescriptor) -> Method? { methods[method.id] }
}
