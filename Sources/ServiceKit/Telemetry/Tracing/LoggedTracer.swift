package import RPCCore
import Synchronization
package import Tracing

/// A tracer that speaks W3C Trace Context and hands each part of a trace to one function when it ends.
///
/// Parts of traces that those before have not kept are not kept here either; a trace that begins here is kept.
package struct LoggedTracer: Tracer {
    package typealias Span = LoggedSpan

    private let ended: @Sendable (FinishedSpan) -> Void

    package init(ended: @escaping @Sendable (FinishedSpan) -> Void) { self.ended = ended }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> LoggedSpan {
        var context = context()
        let parent = context.trace
        var random = SystemRandomNumberGenerator()
        let trace = parent?.child(using: &random) ?? .root(isSampled: true, using: &random)
        context.trace = trace
        return LoggedSpan(operationName, kind, context: context, trace: trace, parent: parent?.spanID, ended: ended)
    }

    package func forceFlush() {}

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parent = extractor.extract(key: TraceContext.parentField, from: carrier) else { return }
        let state = extractor.extract(key: TraceContext.stateField, from: carrier)
        context.trace = TraceContext(parent: parent.utf8, state: state) ?? context.trace
    }

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.trace else { return }
        injector.inject(trace.parent, forKey: TraceContext.parentField, into: &carrier)
        if let state = trace.state { injector.inject(state, forKey: TraceContext.stateField, into: &carrier) }
    }
}

/// A part of a trace that has ended.
package struct FinishedSpan: Sendable {
    package let trace: TraceContext
    /// The part that caused it; nil at the trace's beginning.
    package let parent: UInt64?
    package let name: String
    package let kind: SpanKind
    package let took: Duration
    package let isError: Bool
    /// The status code that it ended with; nil for one that is no call.
    package let code: String?
}

/// A part of a trace under way.
package final class LoggedSpan: Span {
    private struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var isError = false
        var isOver = false
    }

    package let context: ServiceContext
    private let trace: TraceContext
    private let parent: UInt64?
    private let kind: SpanKind
    private let started = ContinuousClock.now
    private let state: Mutex<State>
    private let ended: @Sendable (FinishedSpan) -> Void

    init(
        _ name: String, _ kind: SpanKind, context: ServiceContext, trace: TraceContext, parent: UInt64?,
        ended: @escaping @Sendable (FinishedSpan) -> Void
    ) {
        self.context = context
        self.trace = trace
        self.parent = parent
        self.kind = kind
        self.ended = ended
        state = Mutex(State(name: name))
    }

    package var operationName: String {
        get { state.withLock { $0.name } }
        set { state.withLock { $0.name = newValue } }
    }

    package var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { state.withLock { $0.attributes = newValue } }
    }

    package var isRecording: Bool { trace.isSampled && !state.withLock { $0.isOver } }

    package func setStatus(_ status: SpanStatus) {
        state.withLock { $0.isError = status.code == .error }
    }

    // Events, links and the texts of errors may hold what a person wrote: they are not kept.
    package func addEvent(_ event: SpanEvent) {}
    package func addLink(_ link: SpanLink) {}
    package func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        setStatus(SpanStatus(code: .error))
    }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let state = state.withLock { state -> State? in
            guard !state.isOver else { return nil }
            state.isOver = true
            return state
        }
        guard let state, trace.isSampled else { return }
        var code: String?
        if case .string(let text)? = state.attributes.get(TracedCall.codeAttribute) { code = text }
        ended(
            FinishedSpan(
                trace: trace, parent: parent, name: state.name, kind: kind, took: started.duration(to: .now),
                isError: state.isError, code: code))
    }
}

private enum TraceContextKey: ServiceContextKey {
    typealias Value = TraceContext
    static let nameOverride: String? = TraceContext.parentField
}

extension ServiceContext {
    /// The place in a trace.
    package var trace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }
}
