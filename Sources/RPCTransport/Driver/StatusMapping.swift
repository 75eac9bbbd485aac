import NIOCore
package import RPCCore
package import WireCore

extension WireStatus {
    /// An error as it travels.
    package init(_ error: RPCError) {
        let details = error.details(limit: WireLimits.maxStatusDetailsSize)
        self.init(
            code: error.code.rawValue, message: error.message,
            details: details.isEmpty ? ByteBuffer() : ByteBuffer(bytes: details),
            processed: Processed(error.processed), queuedMicros: error.timeline.queued?.wireMicroseconds ?? 0,
            ranMicros: error.timeline.ran?.wireMicroseconds ?? 0,
            retryAfterMillis: error.retryAfter?.wireMilliseconds ?? 0)
    }
}

extension WireStatus {
    /// A handler's error, with the times of its call.
    init(_ error: RPCError, _ timings: WireTimings) {
        self.init(error)
        queuedMicros = timings.queuedMicros
        ranMicros = timings.ranMicros
    }
}

extension WireStatus.Processed {
    package init(_ processed: Processed) {
        switch processed {
        case .no: self = .no
        case .maybe: self = .maybe
        case .yes: self = .yes
        }
    }
}

extension Processed {
    package init(_ processed: WireStatus.Processed) {
        switch processed {
        case .no: self = .no
        case .maybe: self = .maybe
        case .yes: self = .yes
        }
    }
}

extension RPCError {
    /// The error that a status tells of. Never OK: a status that says so has no error to tell, and reads as INTERNAL.
    package init(_ status: WireStatus) {
        let code = StatusCode(rawValue: status.code) ?? .unknown
        self.init(code == .ok ? .internal : code, status.message, processed: Processed(status.processed))
        timeline.queued = .microseconds(Int64(status.queuedMicros))
        timeline.ran = .microseconds(Int64(status.ranMicros))
        if status.retryAfterMillis > 0 { retryAfter = .milliseconds(Int64(status.retryAfterMillis)) }
        apply(details: Array(status.details.readableBytesView))
    }
}

extension WireLane {
    package init(_ lane: Lane) { self = lane == .emergency ? .emergency : .routine }
}

extension Lane {
    package init(_ lane: WireLane) { self = lane == .emergency ? .emergency : .routine }
}

extension CallKind {
    package init(_ kind: WireCallKind) {
        switch kind {
        case .unary: self = .unary
        case .clientStreaming: self = .clientStreaming
        case .serverStreaming: self = .serverStreaming
        case .bidirectional: self = .bidirectional
        }
    }
}

extension WireCallKind {
    package init(_ kind: CallKind) {
        switch kind {
        case .unary: self = .unary
        case .clientStreaming: self = .clientStreaming
        case .serverStreaming: self = .serverStreaming
        case .bidirectional: self = .bidirectional
        }
    }
}
