extension RPCError {
    /// What a caller sees of an error that a handler threw.
    ///
    /// The handler ran, so `processed` is yes, whatever a service behind it said of its own calls: passing on their
    /// `no` would have this call sent twice. A `ProcessedError` knows more: that nothing is left of the work (`no`), or that
    /// nobody knows (`maybe`).
    package static func outcome(
        of error: any Error, in context: CallContext, now: MonotonicInstant = .now
    ) -> RPCError {
        if error is CancellationError, context.deadline.hasPassed(now: now) {
            return .deadlineExceeded(context.method, processed: .yes)
        }
        var known = RPCError.fromHandler(error)
        known.processed = (error as? any ProcessedError)?.processed ?? .yes
        known.timeline = CallTimeline()
        return known
    }

    package static func deadlineExceeded(_ method: MethodDescriptor, processed: Processed) -> RPCError {
        RPCError(
            .deadlineExceeded, "\(method.fullName) did not end before its deadline.", reason: "deadline_exceeded",
            processed: processed)
    }

    package static func cancelled(_ method: MethodDescriptor, processed: Processed) -> RPCError {
        RPCError(.cancelled, "The caller cancelled \(method.fullName).", reason: "cancelled", processed: processed)
    }

    /// All places of a lane are taken: try later, or elsewhere.
    package static func busy(_ what: String, retryAfter: Duration = .milliseconds(100)) -> RPCError {
        RPCError(
            .resourceExhausted, "\(what) has as many calls as it may; try again shortly.", reason: "busy",
            processed: .no, retryAfter: retryAfter)
    }

    /// The call could not end before its deadline, so it was not begun. Says nothing of calls that have longer.
    package static func tooLate(_ method: MethodDescriptor, retryAfter: Duration) -> RPCError {
        RPCError(
            .resourceExhausted, "\(method.fullName) could not end before its deadline; try again shortly.",
            reason: "deadline_too_near", processed: .no, retryAfter: retryAfter)
    }
}
