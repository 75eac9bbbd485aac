import Synchronization

/// What a handler knows of the call it answers.
package final class CallContext: Sendable {
    package let method: MethodDescriptor
    /// The calling service, from its certificate.
    package let peer: PeerIdentity
    package let deadline: Deadline
    package let lane: Lane
    /// The same through all services that one outside request touches; `[A-Za-z0-9_-]`, at most 64 bytes.
    package var requestID: String { id.text }
    /// The same as its number, where it is one.
    package let id: RequestID
    /// The end user, when the gateway vouches for one. Always present in methods exposed to USER or ADMIN.
    package let user: UserIdentity?
    /// The signed form of `user`, forwarded unchanged to other services.
    package let userToken: String?
    package let origin: ClientOrigin
    package let metadata: Metadata
    /// 1 for the first try.
    package let attempt: Int
    /// What calls made on behalf of this one carry: this call's own place in its trace, or its caller's.
    package let trace: TraceContext?
    /// This call's part of its trace, where that is kept.
    package let span: (any CallSpan)?
    private let cancelled = Atomic(false)
    private let acted = Atomic(false)

    package init(
        method: MethodDescriptor,
        peer: PeerIdentity,
        deadline: Deadline,
        lane: Lane = .routine,
        requestID: RequestID,
        user: UserIdentity? = nil,
        userToken: String? = nil,
        origin: ClientOrigin = ClientOrigin(),
        metadata: Metadata = Metadata(),
        attempt: Int = 1,
        trace: TraceContext? = nil,
        span: (any CallSpan)? = nil
    ) {
        self.method = method
        self.peer = peer
        self.deadline = deadline
        self.lane = lane
        self.id = requestID
        self.user = user
        self.userToken = userToken
        self.origin = origin
        self.metadata = metadata
        self.attempt = attempt
        self.trace = span?.trace ?? trace
        self.span = span
    }

    package var cancellation: CancellationFlag { CancellationFlag(context: self) }
    /// The deadline raises the flag by itself: a handler that holds its event loop learns of it here alone.
    var isCancelled: Bool {
        cancelled.load(ordering: .acquiring) || (method.onCancel == .cancel && deadline.hasPassed())
    }

    func cancel() { cancelled.store(true, ordering: .releasing) }

    /// See `HandlerScope.act`.
    func act() { acted.store(true, ordering: .relaxed) }
    var hasActed: Bool { acted.load(ordering: .relaxed) }

    /// The end user, for methods that need one.
    ///
    /// - Throws: `RPCError` UNAUTHENTICATED when the gateway vouched for nobody.
    package func requireUser() throws -> UserIdentity {
        guard let user else {
            throw RPCError(.unauthenticated, "Sign in first: this needs a user.", reason: "unauthenticated")
        }
        return user
    }

    /// Options for a call made on behalf of this one: its deadline, lane, request id, user, origin and trace.
    ///
    /// - Parameter timeout: Less than what remains, when the call is worth only so much waiting.
    package func outgoing(timeout: Duration? = nil) -> CallOptions {
        var options = CallOptions(timeout: timeout)
        options.deadline = deadline
        options.lane = lane
        options.requestID = requestID
        options.userToken = userToken
        options.origin = origin
        options.trace = trace
        return options
    }
}
