internal import CoreMetrics
internal import RPCCore
package import ServiceKit

/// Measures requests by the method behind their route, and begins their parts of traces.
package struct GatewayTelemetry: Sendable {
    private static let classes = 1...5

    /// By the method's id, then by the hundred of the status.
    private let timers: [UInt32: [CoreMetrics.Timer]]
    private let tracer: CallTracer?

    package init(_ telemetry: Telemetry, routes: RouteTable) {
        tracer = telemetry.tracer
        let metric = MetricCatalogue.httpDuration.name
        timers = Dictionary(
            routes.routes.map { route in
                let timers = Self.classes.map { number in
                    let labels = route.method.labels + [(MetricLabel.statusClass.rawValue, "\(number)xx")]
                    return CoreMetrics.Timer(label: metric, dimensions: labels, factory: telemetry.registry)
                }
                return (route.method.id, timers)
            }, uniquingKeysWith: { first, _ in first })
    }

    func begin(_ method: MethodDescriptor, parent: TraceContext?) -> TracedCall? {
        tracer?.begin(method.fullName, .server, parent: parent)
    }

    func record(_ method: MethodDescriptor, status: Int, took: Duration) {
        guard let timers = timers[method.id], Self.classes.contains(status / 100) else { return }
        timers[status / 100 - 1].recordNanoseconds(took.metricNanoseconds)
    }
}

/// What is known of a request by and by.
struct RequestProgress {
    /// As the client sent it; nil when it sent none.
    let incoming: TraceContext?
    /// What goes on to the services.
    private(set) var trace: TraceContext
    private(set) var endpoint: Endpoint?
    private var span: TracedCall?

    init(_ headers: RequestHeaders) {
        incoming = headers.trace
        var random = SystemRandomNumberGenerator()
        trace = incoming ?? .root(isSampled: false, using: &random)
    }

    /// The route is known.
    mutating func found(_ endpoint: Endpoint, _ telemetry: GatewayTelemetry?) {
        self.endpoint = endpoint
        guard case .route(let route) = endpoint else { return }
        span = telemetry?.begin(route.method, parent: incoming)
        trace = span?.trace ?? trace
    }

    /// Whether the request is an OAuth client's, which reads other errors.
    var isOAuth: Bool {
        if case .route(let route)? = endpoint { route.http.isOAuth } else { false }
    }

    /// The request has its answer.
    func ended(_ telemetry: GatewayTelemetry?, status: Int, took: Duration) {
        if case .route(let route)? = endpoint { telemetry?.record(route.method, status: status, took: took) }
        span?.end("\(status)", isError: status >= 500)
    }
}

extension RequestHeaders {
    /// The client's place in a trace. Several `traceparent` are none; several `tracestate` are one list
    /// (W3C Trace Context, sections 3.2 and 3.3).
    var trace: TraceContext? {
        guard traceparent.count == 1, let parent = traceparent.first else { return nil }
        return TraceContext(parent: parent.utf8, state: tracestate.isEmpty ? nil : tracestate.joined(separator: ","))
    }
}
