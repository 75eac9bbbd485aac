import Contracts
import CoreMetrics
package import Logging
package import NIOCore
import NIOPosix
package import RPCCore
package import RPCTransport
import Synchronization

/// What a process measures of itself and follows through it. One for each process; a process without one pays nothing.
package final class Telemetry: Sendable {
    /// What Prometheus reads: a backend of swift-metrics.
    package let registry: MetricsRegistry
    /// Follows calls, where parts of traces are kept.
    package let tracer: CallTracer?
    /// Of the calls that the process makes.
    package let clients: ClientInstruments
    /// Watches the event loops of its servers.
    package let loops: LoopWatch
    private let servers: ServerInstruments
    private let process: ProcessMetrics
    private let queues: QueueMetrics
    private let holds: HoldCounter
    private let readers = Mutex<[@Sendable () -> Void]>([])

    /// - Parameters:
    ///   - service: Whose process this is: what nobody lets it call is not shown before it calls. Nil shows all.
    ///   - contract: All services that the process may host or call.
    ///   - group: The event loops of its servers.
    package init(
        service: String? = nil, contract: [ServiceDescriptor] = Contract.services, tracer: CallTracer? = nil, logger: Logger,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        let registry = MetricsRegistry(domain: LabelDomain(contract: contract))
        let methods = contract.flatMap(\.methods)
        let servers = ServerInstruments(methods, factory: registry)
        let holds = HoldCounter(servers: servers, logger: logger)
        let delays = CoreMetrics.Timer(label: MetricCatalogue.loopDelay.name, factory: registry)
        self.registry = registry
        self.tracer = tracer
        self.servers = servers
        self.holds = holds
        clients = ClientInstruments(methods, factory: registry)
        if let service {
            // What it hosts is known when it serves; until then it hosts nothing.
            registry.announce(Self.ofServers, of: [])
            registry.announce(
                [MetricCatalogue.clientDuration, MetricCatalogue.clientInFlight], of: methods.filter { $0.callers.contains(service) })
        }
        process = ProcessMetrics(factory: registry)
        queues = QueueMetrics(factory: registry)
        loops = LoopWatch(
            group: group, held: { holds.report($0) },
            delayed: { delays.recordNanoseconds($0.metricNanoseconds) })
    }

    private static let ofServers = [MetricCatalogue.serverDuration, MetricCatalogue.serverCalls, MetricCatalogue.loopHeld]

    /// For the process's server, beside its call log.
    var observer: TelemetryObserver { TelemetryObserver(instruments: servers, tracing: tracer) }

    // MARK: Who knows what

    /// Called before each reading, on the reader's thread: sets what is only worth knowing when somebody asks.
    package func beforeReading(_ body: @escaping @Sendable () -> Void) { readers.withLock { $0.append(body) } }

    /// Something waits there; `depth` says how much.
    package func queue(_ name: QueueName, depth: @escaping @Sendable () -> Int) { queues.add(name, depth) }

    /// The process's server.
    ///
    /// - Parameter methods: Those that it hosts.
    package func serves(_ methods: [MethodDescriptor], _ summary: @escaping @Sendable () -> ServerSummary) {
        registry.announce(Self.ofServers, of: methods)
        let metrics = ServerMetrics(methods, factory: registry)
        beforeReading { metrics.update(summary()) }
        queue(.cpuPool) { summary().pool?.waiting ?? 0 }
    }

    // MARK: Reading

    /// All that is measured, in Prometheus's text format.
    package func text() -> String {
        process.update()
        queues.update()
        for reader in readers.withLock({ $0 }) { reader() }
        return registry.text
    }

    /// The same for the process's operator, as far as it is about the process.
    package var measurements: ProcessMeasurements {
        ProcessMeasurements(
            eventLoopDelays: loops.delays, holds: holds.count, queueDepths: queues.now, process: ProcessStatistics())
    }
}

/// Counts and logs the handlers that hold their event loop too long.
private final class HoldCounter: Sendable {
    private let number = Atomic<Int>(0)
    private let servers: ServerInstruments
    private let logger: Logger

    init(servers: ServerInstruments, logger: Logger) {
        self.servers = servers
        self.logger = logger
    }

    var count: Int { number.load(ordering: .relaxed) }

    func report(_ hold: LoopHold) {
        number.add(1, ordering: .relaxed)
        servers.held(hold.method)
        logger.event(
            .warning, "a handler holds its event loop", .method(hold.method), .duration("held", hold.held),
            .flag("ended", hold.hasEnded))
    }
}
