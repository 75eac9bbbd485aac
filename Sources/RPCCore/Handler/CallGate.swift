/// What a transport knows of a call when it arrives.
package struct CallRequest: Sendable {
    package var methodID: UInt32
    package var kind = CallKind.unary
    package var peer: PeerIdentity
    /// Request bytes.
    package var size: Int
    /// Nil when the caller gave none.
    package var deadline: Deadline?
    package var lane: Lane = .routine
    package var requestID: RequestID?
    package var userToken: String?
    package var origin = ClientOrigin()
    package var metadata = Metadata()
    package var attempt = 1
    package var trace: TraceContext?

    package init(methodID: UInt32, peer: PeerIdentity, size: Int) {
        self.methodID = methodID
        self.peer = peer
        self.size = size
    }
}

/// A call that may run. Whoever holds it owes one `CallGate.leave`.
package struct AdmittedCall: Sendable {
    package let entry: MethodEntry
    package let context: CallContext
}

/// Decides whether a call may run, and as whom: the part of a server that no transport changes.
///
/// Default deny: the method must be hosted, the peer named among its callers, the request within its limit, its
/// deadline ahead, the user vouched for where one is needed, and a place free.
package final class CallGate: Sendable {
    /// Calls at once in one process, over all methods and connections.
    package static let defaultConcurrency = 8192

    package let table: MethodTable
    private let users: (any UserIdentityVerifier)?
    private let tracing: (any CallTracing)?
    private let interceptors: [any CallInterceptor]
    private let running: Admission

    /// - Parameters:
    ///   - interceptors: Asked in their order about each call that may run.
    ///   - limit: For all methods together.
    /// - Throws: `HostingError` for two methods with one id, and for a method that needs a user where nobody can
    ///   verify one.
    package init(
        _ methods: [HostedMethod], users: (any UserIdentityVerifier)?, tracing: (any CallTracing)? = nil,
        interceptors: [any CallInterceptor] = [], limit: AdmissionLimit = .fixed(CallGate.defaultConcurrency)
    ) throws(HostingError) {
        self.table = try MethodTable(methods)
        self.users = users
        self.tracing = tracing
        self.interceptors = interceptors
        self.running = Admission(limit)
        guard users == nil else { return }
        if let needy = methods.first(where: { $0.descriptor.needsUser }) {
            throw HostingError("\(needy.descriptor.fullName) needs a user, and the server has no identity verifier.")
        }
    }

    /// Calls under way.
    package var openCalls: Int { running.current }
    /// Calls at once, as of now.
    package var places: Int { running.places }

    /// The call, its place taken.
    ///
    /// - Throws: `RPCError`, always not processed.
    package func admit(
        _ request: CallRequest, tokens: inout UserTokenCache, now: MonotonicInstant = .now
    ) throws(RPCError) -> AdmittedCall {
        let entry = try resolve(request)
        let method = entry.descriptor
        let deadline = try Self.deadline(of: request, method, now: now)
        let user = try user(of: request, tokens: &tokens, now: now)
        try method.authorize(user: user)
        if !interceptors.isEmpty { try intercept(request, method, user) }
        let lane = Self.lane(of: request, method, user)
        try enter(entry, lane, deadline, now: now)
        let context = CallContext(
            method: method, peer: request.peer, deadline: deadline, lane: lane,
            requestID: request.requestID ?? RequestID(), user: user, userToken: user == nil ? nil : request.userToken,
            origin: request.origin, metadata: request.metadata, attempt: request.attempt,
            trace: request.trace, span: tracing?.begin(method, remote: request.trace))
        return AdmittedCall(entry: entry, context: context)
    }

    /// Gives the place back. Once for each `admit`, when the handler has ended.
    ///
    /// - Parameter ran: From the call's arrival to its end, and when that was; nil when its handler did not run. Asked for
    ///   only where something learns from it.
    package func leave(_ call: AdmittedCall, ran: @autoclosure () -> (latency: Duration, ended: MonotonicInstant)? = nil) {
        // How long a stream lasts is its caller's choice.
        let learns = (running.learns || call.entry.running.learns) && !call.context.method.kind.streams
        let ran = learns ? ran() : nil
        call.entry.running.leave(call.context.lane, ran: ran)
        running.leave(call.context.lane, ran: ran)
    }

    private func resolve(_ request: CallRequest) throws(RPCError) -> MethodEntry {
        guard let entry = table[request.methodID], entry.descriptor.callers.contains(request.peer.service) else {
            throw Self.notForPeer(request)
        }
        let method = entry.descriptor
        guard request.kind == method.kind else {
            throw RPCError(
                .invalidArgument, "\(method.fullName) is \(method.kind.text), the call is \(request.kind.text).",
                reason: "wrong_call_kind", processed: .no)
        }
        guard request.size <= method.requestLimit else {
            throw RPCError(
                .resourceExhausted,
                "The request of \(method.fullName) has \(request.size) bytes; \(method.requestLimit) are allowed.",
                reason: "request_too_large", processed: .no)
        }
        return entry
    }

    /// The same for a method that is not there and for one that this caller may not call (WIRE.md, section 5): a peer
    /// does not learn which.
    private static func notForPeer(_ request: CallRequest) -> RPCError {
        RPCError(
            .permissionDenied, "\(request.peer.service) may not call method \(request.methodID) here.",
            reason: "caller_not_allowed", processed: .no)
    }

    private static func deadline(
        of request: CallRequest, _ method: MethodDescriptor, now: MonotonicInstant
    ) throws(RPCError) -> Deadline {
        let longest = Deadline(now.advanced(byNanoseconds: method.deadline.maximumNanoseconds))
        let deadline = request.deadline.map { min($0, longest) } ?? .after(method.deadline.default, now: now)
        guard !deadline.hasPassed(now: now) else { throw .deadlineExceeded(method, processed: .no) }
        return deadline
    }

    private func user(
        of request: CallRequest, tokens: inout UserTokenCache, now: MonotonicInstant
    ) throws(RPCError) -> UserIdentity? {
        guard let token = request.userToken, let users else { return nil }
        return try tokens.user(of: token, verifier: users, now: now)
    }

    private func intercept(_ request: CallRequest, _ method: MethodDescriptor, _ user: UserIdentity?) throws(RPCError) {
        for interceptor in interceptors {
            do {
                try interceptor.intercept(request, method, user: user)
            } catch {
                var refusal = error
                refusal.processed = .no
                throw refusal
            }
        }
    }

    private func enter(
        _ entry: MethodEntry, _ lane: Lane, _ deadline: Deadline, now: MonotonicInstant
    ) throws(RPCError) {
        if let wait = entry.running.shortfall(deadline.remaining(now: now), now: now) {
            throw .tooLate(entry.descriptor, retryAfter: wait)
        }
        guard running.enter(lane) else { throw .busy("The service") }
        guard entry.running.enter(lane) else {
            running.leave(lane)
            throw .busy(entry.descriptor.fullName)
        }
    }

    /// Emergency is granted to a user whose token says so, never to a peer's mere wish (WIRE.md, W-24).
    private static func lane(of request: CallRequest, _ method: MethodDescriptor, _ user: UserIdentity?) -> Lane {
        guard request.lane == .emergency, let user, user.lane == .emergency else { return .routine }
        return method.grantsEmergency(to: user.roles) ? .emergency : .routine
    }
}

extension MethodDescriptor {
    /// Whether a call without a verified end user is refused.
    package var needsUser: Bool {
        switch exposure {
        case .internal, .public: false
        case .user, .admin: true
        }
    }
}
