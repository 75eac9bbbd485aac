package import RPCCore

/// A service in memory, behind the same interface as one across the network: for tests of what calls it.
///
/// Calls pass the same gate as in a server (routing, callers, user, limits, deadline) and errors are converted in the
/// same way; only the wire and the threads are missing. SYNC and ASYNC handlers alike run in a task of their own.
package struct InProcessChannel: RPCChannel {
    private let gate: CallGate
    private let peer: PeerIdentity
    private let userToken: String?
    private let now: @Sendable () -> MonotonicInstant

    /// - Parameters:
    ///   - peer: Who calls, as its certificate would say.
    ///   - user: The end user of every call that brings no token of its own.
    ///   - verifier: Checks the tokens that calls bring.
    /// - Throws: `HostingError` when the handlers cannot be hosted together.
    package init(
        sync: [any SyncServiceHandler] = [],
        async: [any AsyncServiceHandler] = [],
        peer: PeerIdentity,
        user: UserIdentity? = nil,
        verifier: (any UserIdentityVerifier)? = nil,
        now: @escaping @Sendable () -> MonotonicInstant = { .now }
    ) throws(HostingError) {
        let methods = sync.flatMap(\.syncMethods).map(HostedMethod.sync)
            + async.flatMap(\.asyncMethods).map(HostedMethod.async)
        self.gate = try CallGate(methods, users: InProcessUsers(user: user, verifier: verifier))
        self.peer = peer
        self.userToken = user == nil ? nil : InProcessUsers.token
        self.now = now
    }

    /// The same with the peer's name.
    ///
    /// - Throws: `HostingError` also when `peer` is no name of a service.
    package init(
        sync: [any SyncServiceHandler] = [],
        async: [any AsyncServiceHandler] = [],
        peer: String,
        user: UserIdentity? = nil,
        verifier: (any UserIdentityVerifier)? = nil,
        now: @escaping @Sendable () -> MonotonicInstant = { .now }
    ) throws(HostingError) {
        guard let identity = PeerIdentity(service: peer) else {
            throw HostingError("\"\(peer)\" is not the name of a service.")
        }
        try self.init(sync: sync, async: async, peer: identity, user: user, verifier: verifier, now: now)
    }

    package func call(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) async throws(RPCError) -> [UInt8] {
        try await admit(method, request, options).answer(to: request, .unary)
    }

    package func open(
        _ method: MethodDescriptor, request: [UInt8], options: CallOptions
    ) throws(RPCError) -> any RPCStream {
        let run = try admit(method, request, options)
        let stream = InProcessStream(request: request)
        stream.start(clientStreams: method.kind.clientStreams) { parts throws(RPCError) in
            try await run.answer(to: request, .stream(parts))
        }
        return stream
    }

    private func admit(
        _ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions
    ) throws(RPCError) -> InProcessRun {
        guard !Task.isCancelled else { throw .cancelled(method, processed: .no) }
        HandlerScope.current?.act()
        let start = now()
        let deadline = options.effectiveDeadline(for: method, now: start)
        var tokens = UserTokenCache()
        let admitted = try gate.admit(
            incoming(method, size: request.count, deadline: deadline, options), tokens: &tokens, now: start)
        return InProcessRun(admitted, gate: gate, remaining: deadline.remaining(now: start))
    }

    private func incoming(
        _ method: MethodDescriptor, size: Int, deadline: Deadline, _ options: CallOptions
    ) -> CallRequest {
        var request = CallRequest(methodID: method.id, peer: peer, size: size)
        request.deadline = deadline
        request.kind = method.kind
        request.lane = options.lane
        request.requestID = options.requestID.flatMap { RequestID($0) }
        request.userToken = options.userToken ?? userToken
        request.origin = options.origin
        request.metadata = options.metadata
        request.trace = options.trace
        return request
    }
}

/// Knows the user of the channel by a token of its own, and asks the given verifier about all others.
private struct InProcessUsers: UserIdentityVerifier {
    static let token = "in-process"
    let user: UserIdentity?
    let verifier: (any UserIdentityVerifier)?

    func verify(token: String) throws -> UserIdentity {
        if let verifier, token != Self.token { return try verifier.verify(token: token) }
        guard let user else { throw RPCError(.unauthenticated, "Nobody here vouches for a user.") }
        return user
    }
}
