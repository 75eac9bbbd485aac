/// Told of calls and connections, for logs and metrics. Called where the work runs, event loops included: it must not
/// block. A server without one pays nothing.
package protocol ServerObserver: Sendable {
    /// Follows calls through the process; looked up once, when the server is made.
    var tracing: (any CallTracing)? { get }
    /// Just before the handler runs.
    func callStarted(_ context: CallContext)
    /// When the handler has ended, or when a queued call was given up before its handler ran.
    func callEnded(_ record: CallRecord)
    /// A call that was turned away before it became one: unknown, forbidden, too large, late or one too many.
    func callRefused(_ refusal: CallRefusal)
    func connectionOpened(peer: PeerIdentity)
    /// - Parameter peer: Nil when the handshake did not get as far as a name.
    func connectionClosed(peer: PeerIdentity?, reason: String)
}

extension ServerObserver {
    package var tracing: (any CallTracing)? { nil }
    package func callStarted(_ context: CallContext) {}
    package func callEnded(_ record: CallRecord) {}
    package func callRefused(_ refusal: CallRefusal) {}
    package func connectionOpened(peer: PeerIdentity) {}
    package func connectionClosed(peer: PeerIdentity?, reason: String) {}
}

/// How one call went.
package struct CallRecord: Sendable {
    package let context: CallContext
    package let code: StatusCode
    package let processed: Processed
    /// Between arrival and the handler's start.
    package let queued: Duration
    /// In the handler; zero when it did not run.
    package let ran: Duration
    /// What the handler threw, as it was: for the log alone, never for the caller.
    package let error: (any Error)?

    package init(
        context: CallContext, code: StatusCode, processed: Processed, queued: Duration, ran: Duration,
        error: (any Error)?
    ) {
        self.context = context
        self.code = code
        self.processed = processed
        self.queued = queued
        self.ran = ran
        self.error = error
    }
}

/// A call that was not let in.
package struct CallRefusal: Sendable {
    package let methodID: UInt32
    /// Nil when no method here has that id.
    package let method: MethodDescriptor?
    package let peer: PeerIdentity
    package let requestID: String?
    package let error: RPCError

    package init(
        methodID: UInt32, method: MethodDescriptor?, peer: PeerIdentity, requestID: String?, error: RPCError
    ) {
        self.methodID = methodID
        self.method = method
        self.peer = peer
        self.requestID = requestID
        self.error = error
    }
}
