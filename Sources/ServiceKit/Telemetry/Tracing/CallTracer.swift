package import RPCCore
package import Tracing

/// Follows calls with a tracer of swift-distributed-tracing, whichever it is.
package struct CallTracer: CallTracing {
    private let tracer: any Tracer
    private let carrying = TraceFieldsCarrying()

    package init(_ tracer: any Tracer) { self.tracer = tracer }

    package func begin(_ method: MethodDescriptor, remote: TraceContext?) -> (any CallSpan)? {
        begin(method.fullName, .server, parent: remote)
    }

    /// A part of a trace that is no call answered here: a request from outside, a call made from here.
    ///
    /// - Parameter name: Of the contract, never of a request.
    package func begin(_ name: String, _ kind: SpanKind, parent: TraceContext?) -> TracedCall {
        var context = ServiceContext.topLevel
        if let parent { tracer.extract(TraceFields(parent), into: &context, using: carrying) }
        let span = tracer.startSpan(name, context: context, ofKind: kind)
        var fields = TraceFields()
        tracer.inject(span.context, into: &fields, using: carrying)
        return TracedCall(span, trace: fields.trace ?? parent)
    }
}

/// A call and its span.
package final class TracedCall: CallSpan {
    package static let codeAttribute = "rpc.status_code"

    private let span: any Span
    package let trace: TraceContext?

    init(_ span: any Span, trace: TraceContext?) {
        self.span = span
        self.trace = trace
    }

    package nonisolated(nonsending) func run(
        _ handler: nonisolated(nonsending) () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        try await ServiceContext.$current.withValue(span.context) { try await handler() }
    }

    package func end(_ code: StatusCode) { end(code.name, isError: code != .ok) }

    /// - Parameter code: A status code, or the number of an HTTP status.
    package func end(_ code: String, isError: Bool) {
        span.attributes[Self.codeAttribute] = code
        if isError { span.setStatus(SpanStatus(code: .error)) }
        span.end()
    }
}
