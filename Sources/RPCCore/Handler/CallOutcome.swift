extension RPCError {
    /// What a caller sees of an error that a handler threw.
    ///
    /// The handler ran, so `processed` is yes, whatever a service behind it said of its own calls: passing on their
    /// `no` would have this call sent twice.
    package static func outcome(
        of error: any Error, in context: CallContext, now: MonotonicInstant = .now
    ) -> RPCError {
        if error is CancellationError, context.deadline.hasPassed(now: now) {
            return .deadlineExceeded(context.method, processed: .yes)
        }
        var known = RPCError.fromHandler(error)
        known.processed = .yes
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
}
