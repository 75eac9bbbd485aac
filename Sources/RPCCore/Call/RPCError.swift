/// How a call failed: for callers, in a shape that a program can act on.
///
/// `message` is for people and crosses processes: it never holds a secret or a person's data. `reason` is for programs:
/// a short snake_case word, stable between releases, that becomes `code` in the gateway's problems.
///
/// One word wide, its fields elsewhere: every call's result has room for an error that nearly none has, and is moved
/// several times on its way.
package struct RPCError: Error, Sendable, Hashable {
    private struct Fields: Sendable, Hashable {
        var code: StatusCode
        var message: String
        var reason: String
        var violations: [FieldViolation]
        var details: [ErrorDetail] = []
        var processed: Processed
        var retryAfter: Duration?
        var timeline: CallTimeline
    }

    private indirect enum Box: Sendable, Hashable {
        case fields(Fields)
    }

    private var box: Box

    private var fields: Fields {
        get { switch box { case .fields(let fields): fields } }
        set { box = .fields(newValue) }
    }

    package var code: StatusCode {
        get { fields.code }
        set { fields.code = newValue }
    }
    /// What went wrong and what the caller can do about it, in a sentence or two.
    package var message: String {
        get { fields.message }
        set { fields.message = newValue }
    }
    /// A stable word for programs, such as `invalid_credentials`. Empty when the code says it all.
    package var reason: String {
        get { fields.reason }
        set { fields.reason = newValue }
    }
    /// The fields of the request that are wrong, when that is why.
    package var violations: [FieldViolation] {
        get { fields.violations }
        set { fields.violations = newValue }
    }
    /// More for programs, each of a type of its own.
    package var details: [ErrorDetail] {
        get { fields.details }
        set { fields.details = newValue }
    }
    package var processed: Processed {
        get { fields.processed }
        set { fields.processed = newValue }
    }
    /// When it makes sense to try again.
    package var retryAfter: Duration? {
        get { fields.retryAfter }
        set { fields.retryAfter = newValue }
    }
    package var timeline: CallTimeline {
        get { fields.timeline }
        set { fields.timeline = newValue }
    }

    package init(
        _ code: StatusCode,
        _ message: String,
        reason: String = "",
        violations: [FieldViolation] = [],
        processed: Processed = .yes,
        retryAfter: Duration? = nil,
        timeline: CallTimeline = CallTimeline()
    ) {
        box = .fields(
            Fields(
                code: code, message: message, reason: reason, violations: violations, processed: processed,
                retryAfter: retryAfter, timeline: timeline))
    }

    /// The error for requests whose fields break the contract.
    package static func invalid(_ violations: [FieldViolation]) -> RPCError {
        let names = violations.map(\.field).joined(separator: ", ")
        return RPCError(
            .invalidArgument, "The request is not valid: \(names).", reason: "invalid_request", violations: violations)
    }
}

extension RPCError: CustomStringConvertible {
    package var description: String {
        let why = reason.isEmpty ? "" : " (\(reason))"
        return "\(code.name)\(why): \(message)"
    }
}

/// One field that is wrong, and why.
package struct FieldViolation: Sendable, Hashable {
    /// The field's path in proto names: `email`, `context_words[2]`.
    package var field: String
    /// A sentence that never repeats the value.
    package var message: String

    package init(field: String, message: String) {
        self.field = field
        self.message = message
    }
}

/// Where a call's time went.
package struct CallTimeline: Sendable, Hashable {
    /// Waited for a usable connection.
    package var waitedForConnection: Duration?
    /// What the wait was for, when the call never left: the last failure to connect.
    package var waitedFor: String?
    /// Queued in the callee before its handler ran.
    package var queued: Duration?
    /// Ran in the callee's handler.
    package var ran: Duration?
    /// How often the call was sent; what is said of the callee is of the last time.
    package var attempts = 1
    /// From when the call was sent until it ended here; nil when it never left. What of it was neither queued nor ran
    /// went by on the way.
    package var sent: Duration?

    package init(
        waitedForConnection: Duration? = nil, waitedFor: String? = nil, queued: Duration? = nil, ran: Duration? = nil,
        sent: Duration? = nil
    ) {
        self.waitedForConnection = waitedForConnection
        self.waitedFor = waitedFor
        self.queued = queued
        self.ran = ran
        self.sent = sent
    }
}

/// A domain error that knows its status. Anything else that a handler throws becomes INTERNAL, its text for the log
/// alone.
package protocol RPCErrorConvertible: Error {
    var rpcError: RPCError { get }
}

extension RPCError: RPCErrorConvertible {
    package var rpcError: RPCError { self }

    /// The error that leaves the process for whatever a handler threw.
    package static func fromHandler(_ error: any Error) -> RPCError {
        switch error {
        case let known as any RPCErrorConvertible: known.rpcError
        case is CancellationError: RPCError(.cancelled, "The call was cancelled.")
        default: RPCError(.internal, "The service failed; the request id finds it in the log.", reason: "internal")
        }
    }
}
