import Logging
import RPCCore
import Tracing

extension Telemetry {
    /// As configuration wants it; nil when the process shows no metrics and keeps no traces.
    static func make(_ service: String, _ configuration: Configuration, logger: Logger) throws -> Telemetry? {
        let keepsTraces = try configuration[SharedKeys.spans]
        guard try configuration[SharedKeys.metrics(service)].address != nil || keepsTraces else { return nil }
        let tracer = keepsTraces ? CallTracer(LoggedTracer { logger.event($0) }) : nil
        return Telemetry(tracer: tracer, logger: logger)
    }

    /// Begins to watch the event loops, and to answer Prometheus. A process whose metrics cannot be read serves all the
    /// same: that nothing answers there is what Prometheus reports first.
    ///
    /// - Returns: Nil when nothing listens.
    func start(_ environment: ServiceEnvironment) async throws -> MetricsListener? {
        loops.start()
        guard let address = try environment.configuration[SharedKeys.metrics(environment.name)].address
        else { return nil }
        do {
            let listener = try await MetricsListener.start(host: address.host, port: address.port) { self.text() }
            environment.logger.event(
                .info, "serving metrics", .path("address", "http://\(listener.address)\(MetricsListener.path)"))
            return listener
        } catch {
            environment.logger.event(.error, "no metrics", .path("address", address.description), .error(error))
            return nil
        }
    }

    func stop(_ listener: MetricsListener?) async {
        loops.stop()
        await listener?.close()
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
