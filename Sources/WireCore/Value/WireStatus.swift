package import NIOCore

/// The terminal answer to a call: exactly one per call (W-80).
package struct WireStatus: Equatable, Sendable {
    /// gRPC's numbers, 0 ... 16. Received codes above 16 are read as UNKNOWN (W-82).
    package var code: UInt32
    /// Whether the method's code ran.
    package var processed: Processed
    /// How long the call waited before its handler started, microseconds, saturating.
    package var queuedMicros: UInt32
    /// How long its handler ran, microseconds, saturating.
    package var ranMicros: UInt32
    /// When a retry makes sense, milliseconds from now; 0: no advice.
    package var retryAfterMillis: UInt32
    private var beside: Beside

    /// What most statuses do without, in one place: a status is moved several times on its way, and would count
    /// references to nothing each time.
    private indirect enum Beside: Equatable, Sendable {
        case nothing
        case parts(message: String, details: ByteBuffer, metadata: WireMetadata)

        init(_ message: String, _ details: ByteBuffer, _ metadata: WireMetadata) {
            let isNothing = message.isEmpty && details.readableBytes == 0 && metadata.isEmpty
            self = isNothing ? .nothing : .parts(message: message, details: details, metadata: metadata)
        }
    }

    package init(
        code: UInt32, message: String = "", details: ByteBuffer = ByteBuffer(), processed: Processed,
        queuedMicros: UInt32 = 0, ranMicros: UInt32 = 0, retryAfterMillis: UInt32 = 0,
        metadata: WireMetadata = WireMetadata()
    ) {
        self.code = code
        self.beside = Beside(message, details, metadata)
        self.processed = processed
        self.queuedMicros = queuedMicros
        self.ranMicros = ranMicros
        self.retryAfterMillis = retryAfterMillis
    }

    /// OK and nothing beside it.
    init(ok timings: WireTimings) {
        code = WireStatusCode.ok
        processed = .yes
        queuedMicros = timings.queuedMicros
        ranMicros = timings.ranMicros
        retryAfterMillis = 0
        beside = .nothing
    }

    /// One sentence for people, UTF-8, at most `WireLimits.maxStatusMessageSize` bytes; longer text is cut.
    package var message: String {
        get { if case .parts(let message, _, _) = beside { message } else { "" } }
        set { beside = Beside(newValue, details, metadata) }
    }
    /// A machine-readable error (protobuf by convention); at most `WireLimits.maxStatusDetailsSize` bytes.
    package var details: ByteBuffer {
        get { if case .parts(_, let details, _) = beside { details } else { ByteBuffer() } }
        set { beside = Beside(message, newValue, metadata) }
    }
    /// What the handler attached to the answer (trailers).
    package var metadata: WireMetadata {
        get { if case .parts(_, _, let metadata) = beside { metadata } else { WireMetadata() } }
        set { beside = Beside(message, details, newValue) }
    }

    package var isOK: Bool { code == WireStatusCode.ok }

    /// Whether the method's code ran: what decides if a call may be sent again (W-83).
    package enum Processed: UInt8, Sendable, CaseIterable {
        /// The method's code did not start: any call may be sent again, once, elsewhere.
        case no = 0
        /// Nobody knows: only an idempotent call may be sent again.
        case maybe = 1
        /// It ran to its end, well or badly.
        case yes = 2
    }
}

/// The status numbers of the wire: gRPC's.
package enum WireStatusCode {
    package static let ok: UInt32 = 0
    package static let cancelled: UInt32 = 1
    package static let unknown: UInt32 = 2
    package static let invalidArgument: UInt32 = 3
    package static let deadlineExceeded: UInt32 = 4
    package static let notFound: UInt32 = 5
    package static let alreadyExists: UInt32 = 6
    package static let permissionDenied: UInt32 = 7
    package static let resourceExhausted: UInt32 = 8
    package static let failedPrecondition: UInt32 = 9
    package static let aborted: UInt32 = 10
    package static let outOfRange: UInt32 = 11
    package static let unimplemented: UInt32 = 12
    package static let `internal`: UInt32 = 13
    package static let unavailable: UInt32 = 14
    package static let dataLoss: UInt32 = 15
    package static let unauthenticated: UInt32 = 16
}
