import CoreMetrics
import RPCCore
import RPCTransport

/// What a server is doing now, asked of it when somebody wants to know.
struct ServerMetrics: Sendable {
    private let connections: Meter
    private let inFlight: [UInt32: Meter]
    private let workers: Meter
    private let busy: Meter
    private let busySeconds: Meter

    /// - Parameter methods: Those that the process hosts.
    init(_ methods: [MethodDescriptor], factory: any MetricsFactory) {
        func meter(_ definition: MetricDefinition) -> Meter { Meter(label: definition.name, factory: factory) }
        connections = meter(MetricCatalogue.serverConnections)
        workers = meter(MetricCatalogue.poolWorkers)
        busy = meter(MetricCatalogue.poolBusy)
        busySeconds = meter(MetricCatalogue.poolBusySeconds)
        inFlight = Dictionary(
            methods.map { method in
                let name = MetricCatalogue.serverInFlight.name
                return (method.id, Meter(label: name, dimensions: method.labels, factory: factory))
            }, uniquingKeysWith: { first, _ in first })
    }

    func update(_ server: ServerSummary) {
        connections.set(server.connections)
        for entry in server.methods { inFlight[entry.method.id]?.set(entry.running) }
        guard let pool = server.pool else { return }
        workers.set(pool.workers)
        busy.set(pool.running)
        busySeconds.set(pool.busy / .seconds(1))
    }
}
