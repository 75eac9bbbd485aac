package import RPCCore
import Tracing

/// A trace context as the text that tracing systems read and write.
package struct TraceFields: Sendable, Hashable {
    package var parent: String?
    package var state: String?

    package init() {}

    package init(_ trace: TraceContext) {
        parent = trace.parent
        state = trace.state
    }

    package var trace: TraceContext? { parent.flatMap { TraceContext(parent: $0.utf8, state: state) } }
}

/// Reads and writes the two fields of W3C Trace Context; what a tracing system injects besides does not travel.
package struct TraceFieldsCarrying: Extractor, Injector {
    package typealias Carrier = TraceFields

    package init() {}

    package func extract(key: String, from carrier: TraceFields) -> String? {
        switch key {
        case TraceContext.parentField: carrier.parent
        case TraceContext.stateField: carrier.state
        default: nil
        }
    }

    package func inject(_ value: String, forKey key: String, into carrier: inout TraceFields) {
        switch key {
        case TraceContext.parentField: carrier.parent = value
        case TraceContext.stateField: carrier.state = value
        default: break
        }
    }
}
