import NIOCore
import RPCCore
import WireCore

/// A call that is owed an answer, and what there is to stop it by.
struct OpenCall {
    let call: AdmittedCall
    let arrived: MonotonicInstant
    /// An ASYNC handler that has suspended.
    var task: Task<Void, Never>?
    /// A place in a queue.
    var ticket: Ticket?
    var stop: Stop?
    /// What the client of a streaming call sends, for its handler.
    var requests: InboundMessages?
    /// Writers of the handler that wait for room.
    var writers: [WriteDone] = []

    init(_ call: AdmittedCall, arrived: MonotonicInstant) {
        self.call = call
        self.arrived = arrived
    }

    /// Ends the call's streams for whoever reads or writes them.
    func endStreams(_ error: RPCError) {
        requests?.fail(error, discards: true)
        for writer in writers { writer(error) }
    }

    /// Where a call waits.
    enum Ticket {
        case pool(UInt64)
        case loop(UInt64)
    }

    /// Why the handler was asked to stop.
    enum Stop {
        case cancelled
        case expired
        case aborted

        func error(_ method: MethodDescriptor, processed: Processed) -> RPCError {
            switch self {
            case .expired: .deadlineExceeded(method, processed: processed)
            case .cancelled, .aborted: .cancelled(method, processed: processed)
            }
        }
    }
}

/// How a call's run ended.
enum CallEnd: Sendable {
    case ended(Result<[UInt8], any Error>, started: MonotonicInstant, ended: MonotonicInstant)
    /// The handler never ran.
    case notStarted(RPCError)

    /// How long the handler made its caller wait, and until when; nil when it never ran.
    func run(since arrived: MonotonicInstant) -> (latency: Duration, ended: MonotonicInstant)? {
        guard case .ended(_, _, let ended) = self else { return nil }
        return (arrived.duration(to: ended), ended)
    }
}

/// What goes back to the caller, and what the observer is told.
struct CallAnswer {
    let result: Result<[UInt8], RPCError>
    /// Nanoseconds.
    private let queued: UInt64
    private let ran: UInt64
    /// What the handler threw, as it was.
    let thrown: (any Error)?

    init(_ context: CallContext, arrived: MonotonicInstant, _ end: CallEnd, _ stop: OpenCall.Stop?) {
        switch end {
        case .notStarted(let error):
            queued = MonotonicInstant.now.nanoseconds(since: arrived)
            ran = 0
            thrown = nil
            result = .failure(error)
        case .ended(let outcome, let started, let ended):
            queued = started.nanoseconds(since: arrived)
            ran = ended.nanoseconds(since: started)
            if case .failure(let error) = outcome { thrown = error } else { thrown = nil }
            result = Self.result(outcome, context, stop)
        }
    }

    var timings: WireTimings {
        WireTimings(queuedMicros: UInt32(clamping: queued / 1000), ranMicros: UInt32(clamping: ran / 1000))
    }

    func record(_ context: CallContext) -> CallRecord {
        var code = StatusCode.ok
        var processed = Processed.yes
        if case .failure(let error) = result { (code, processed) = (error.code, error.processed) }
        return CallRecord(
            context: context, code: code, processed: processed, queued: .nanoseconds(Int64(clamping: queued)),
            ran: .nanoseconds(Int64(clamping: ran)), error: thrown)
    }

    /// A handler that was asked to stop because of its deadline has not ended in time, whatever it says.
    private static func result(
        _ outcome: Result<[UInt8], any Error>, _ context: CallContext, _ stop: OpenCall.Stop?
    ) -> Result<[UInt8], RPCError> {
        if stop == .expired { return .failure(.deadlineExceeded(context.method, processed: .yes)) }
        switch outcome {
        case .success(let bytes): return .success(bytes)
        case .failure(let error): return .failure(.outcome(of: error, in: context))
        }
    }
}

extension CPUPool.Turn {
    /// Why a call that waited does not run; nil when it does.
    func refusal(_ method: MethodDescriptor) -> RPCError? {
        switch self {
        case .run: nil
        case .expired: .deadlineExceeded(method, processed: .no)
        case .overdue: .busy(method.fullName)
        case .stopped: RPCError(.unavailable, "The server is shutting down.", processed: .no)
        }
    }
}

extension RPCError {
    /// A queue did not take the call.
    static func refused(_ refusal: QueueRefusal, _ method: MethodDescriptor) -> RPCError {
        switch refusal {
        case .full(let retryAfter): .busy(method.fullName, retryAfter: retryAfter)
        case .tooLate(let needs): .tooLate(method, retryAfter: needs)
        }
    }
}
