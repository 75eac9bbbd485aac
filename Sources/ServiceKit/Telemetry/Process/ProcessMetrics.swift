import CoreMetrics
import Glibc

/// The process's own numbers, read when somebody asks for them.
struct ProcessMetrics: Sendable {
    private let cpuSeconds: Meter
    private let memory: Meter
    private let threads: Meter
    private let descriptors: Meter
    private let maximumDescriptors: Meter
    private let cores: Meter

    init(factory: any MetricsFactory) {
        func meter(_ definition: MetricDefinition) -> Meter { Meter(label: definition.name, factory: factory) }
        cpuSeconds = meter(MetricCatalogue.cpuSeconds)
        memory = meter(MetricCatalogue.memory)
        threads = meter(MetricCatalogue.threads)
        descriptors = meter(MetricCatalogue.descriptors)
        maximumDescriptors = meter(MetricCatalogue.maximumDescriptors)
        cores = meter(MetricCatalogue.cores)
        meter(MetricCatalogue.startTime).set(time(nil))
    }

    func update() {
        let now = ProcessStatistics()
        cpuSeconds.set(now.cpuSeconds)
        memory.set(now.residentBytes)
        threads.set(now.threads)
        descriptors.set(now.openDescriptors)
        maximumDescriptors.set(now.maximumDescriptors)
        cores.set(now.cores)
    }
}
