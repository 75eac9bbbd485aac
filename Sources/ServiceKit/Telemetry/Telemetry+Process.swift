import Logging
import RPCCore
import Tracing

extension Telemetry {
    /// As configuration wants it; nil when the process shows no metrics and keeps no traces.
    static func make(_ service: String, _ configuration: Configuration, logger: Logger) throws -> Telemetry? {
        let keepsTraces = try configuration[SharedKeys.spans]
        guard try configuration[SharedKeys.metrics(service)].address != nil || keepsTraces else { return nil }
        let tracer = keepsTraces ? CallTracer(LoggedTracer { logger.event($0) }) : nil
        return Telemetry(service: service, tracer: tracer, logger: logger)
    }

    /// Begins to watch the event loops, and to answer Prometheus.
    ///
    /// - Returns: Nil when nothing is to listen.
    func start(_ environment: ServiceEnvironment) async throws -> MetricsPort? {
        loops.start()
        guard let address = try environment.configuration[SharedKeys.metrics(environment.name)].address else { return nil }
        let port = MetricsPort(address, logger: environment.logger) { self.text() }
        await port.open()
        return port
    }

    func stop(_ port: MetricsPort?) async {
        loops.stop()
        await port?.close()
    }
}

extension Logger {
    /// A part of a trace that has ended. Names of the contract, numbers and times; no attributes.
    fileprivate func event(_ span: FinishedSpan) {
        var fields: [LogField] = [
            .path("span", span.name), .path("kind", "\(span.kind)"),
            .id("trace_id", span.trace.traceID.description), .id("span_id", span.trace.spanID.traceDigits),
            .duration("took", span.took),
        ]
        if let parent = span.parent { fields.append(.id("parent_id", parent.traceDigits)) }
        if let code = span.code { fields.append(.id("code", code)) }
        event(.info, "span", fields)
    }
}
