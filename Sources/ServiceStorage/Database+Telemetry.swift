internal import CoreMetrics
internal import RPCCore
package import ServiceKit
package import SQL

extension Database {
    /// Opens a service's database, whose work and queues are measured where anything is.
    ///
    /// - Throws: `SQLError` as `open(url:options:)` does.
    package static func open(url: String, telemetry: Telemetry?) async throws -> Database {
        guard let telemetry else { return try await open(url: url) }
        var options = Options()
        options.observer = QueryMetrics(factory: telemetry.registry).observer
        let database = try await open(url: url, options: options)
        telemetry.queue(.databaseReads) { [weak database] in database?.backlog.reads ?? 0 }
        telemetry.queue(.databaseWrites) { [weak database] in database?.backlog.writes ?? 0 }
        return database
    }
}

/// How long the database takes.
private struct QueryMetrics: Sendable {
    private struct Timers {
        let ok: CoreMetrics.Timer
        let error: CoreMetrics.Timer

        init(_ operation: String, factory: any MetricsFactory) {
            func timer(_ outcome: String) -> CoreMetrics.Timer {
                let labels = [(MetricLabel.operation.rawValue, operation), (MetricLabel.outcome.rawValue, outcome)]
                return CoreMetrics.Timer(
                    label: MetricCatalogue.queryDuration.name, dimensions: labels, factory: factory)
            }
            ok = timer("ok")
            error = timer("error")
        }
    }

    private let reads: Timers
    private let writes: Timers

    init(factory: any MetricsFactory) {
        reads = Timers("read", factory: factory)
        writes = Timers("write", factory: factory)
    }

    var observer: Database.Observer {
        { [reads, writes] operation, took, hasFailed in
            let timers = operation == .read ? reads : writes
            (hasFailed ? timers.error : timers.ok).recordNanoseconds(took.metricNanoseconds)
        }
    }
}
