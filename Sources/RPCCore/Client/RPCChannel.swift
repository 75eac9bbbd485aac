/// How one call is to be made.
package struct CallOptions: Sendable {
    /// From the start of this call. The earliest of this, `deadline` and the contract's own is what counts.
    package var timeout: Duration?
    /// The deadline of the call on whose behalf this one is made.
    package var deadline: Deadline?
    package var lane: Lane = .routine
    /// Made up by the channel when nil.
    package var requestID: String?
    package var userToken: String?
    package var origin = ClientOrigin()
    package var metadata = Metadata()
    package var trace: TraceContext?
    /// Told once how the time of a call that began went, however it ended: errors carry the same. Called where the call
    /// ends, event loops included: it must not block.
    package var onEnd: (@Sendable (CallTimeline) -> Void)?
    /// Whether to wait for a connection until the deadline, or fail at once without one. Nil: as the channel does.
    package var waitForReady: Bool?
    /// Whether the channel may send the call again when that is safe: see its own options for how often.
    package var repeats = true
    /// Sends the call once more when it has had no answer for so long: unary methods without side effects only. Nil: as
    /// the channel does, which is never by itself.
    package var hedgeDelay: Duration?

    package init(timeout: Duration? = nil) { self.timeout = timeout }

    /// The deadline that counts: the contract's default when nothing is said, never beyond the contract's maximum.
    package func effectiveDeadline(for method: MethodDescriptor, now: MonotonicInstant = .now) -> Deadline {
        let asked = timeout ?? (deadline == nil ? method.deadline.default : method.deadline.maximum)
        let own = Deadline.after(min(asked, method.deadline.maximum), now: now)
        return deadline.map { min($0, own) } ?? own
    }
}

/// A way to call the methods of one service: a connection pool, or the service itself in memory.
///
/// Channels carry encoded messages; generated clients put types on top.
package protocol RPCChannel: Sendable {
    /// Makes one call. Cancelling the calling task cancels the call.
    ///
    /// - Throws: `RPCError`; a lost connection is UNAVAILABLE with `processed` telling whether the handler may have run.
    func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8]

    /// Starts a call that streams. Whoever starts it owes a `cancel` when they are done with it.
    ///
    /// - Parameter request: The one request where the client does not stream, else nothing.
    /// - Throws: `RPCError` for a request over the contract's limit, and for a deadline that has passed.
    func open(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) throws(RPCError) -> any RPCStream
}

extension RPCChannel {
    /// A channel that carries no streams.
    package func open(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) throws(RPCError) -> any RPCStream {
        throw RPCError(.unimplemented, "\(method.fullName) streams; this channel does not.", processed: .no)
    }
}
