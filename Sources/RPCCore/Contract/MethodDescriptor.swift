/// How a service's methods run; a process hosts one class only.
package enum Execution: Sendable, Hashable {
    /// CPU-bound: plain functions on the event loop or the CPU pool.
    case sync
    /// I/O-bound: tasks on the connection's event loop.
    case async
}

/// Where a SYNC method runs.
package enum Cost: Sendable, Hashable {
    /// On the event loop up to `limit` request bytes, above it on the CPU pool.
    case inline(limit: Int)
    case pool
}

/// Who may reach a method through the gateway.
package enum Exposure: Sendable, Hashable {
    case `internal`
    case `public`
    case user
    case admin(roles: [String])
}

/// protobuf's own `idempotency_level`.
package enum Idempotency: Sendable, Hashable {
    case unknown
    case noSideEffects
    case idempotent
}

/// What becomes of a running handler whose caller is gone.
package enum OnCancel: Sendable, Hashable {
    case cancel
    case detach
}

/// A gateway bucket: `limit` calls in `period`, which is also the burst.
package struct Rate: Sendable, Hashable {
    package enum Key: Sendable, Hashable {
        case address
        case user
    }
    package var limit: Int
    package var period: Duration
    package var key: Key

    package init(limit: Int, period: Duration, key: Key) {
        self.limit = limit
        self.period = period
        self.key = key
    }
}

/// What the contract says of one method. Generated; one object for each method of every service: every call holds it.
package final class MethodDescriptor: Sendable {
    /// Stable across builds: the first four bytes of SHA-256 of `fullName`, big-endian.
    package let id: UInt32
    /// `lockstep.auth.v1.AuthService`.
    package let service: String
    /// `CreateSession`.
    package let name: String
    package let kind: CallKind
    package let execution: Execution
    /// For SYNC methods; nil for ASYNC ones.
    package let cost: Cost?
    /// The services that may call; empty for nobody.
    package let callers: [String]
    package let exposure: Exposure
    /// PUBLIC only: told whose token came along, which must be a good one. Otherwise no token is looked at.
    package let optionalUser: Bool
    package let maximumLane: Lane
    /// The users whom the gateway may grant the emergency lane: those with one of these roles.
    package let emergencyRoles: [String]
    package let deadline: DeadlineRule
    /// Bytes of each message.
    package let requestLimit: Int
    /// Bytes of each message.
    package let responseLimit: Int
    /// Calls at once in one process; nil for no limit of its own.
    package let concurrency: Int?
    /// The number of calls at once follows their latency; `concurrency` is the most.
    package let isAdaptive: Bool
    package let rate: Rate?
    package let onCancel: OnCancel
    package let idempotency: Idempotency
    package let http: HTTPRoute?
    package let request: MessageDescriptor
    package let response: MessageDescriptor

    package init(
        id: UInt32, service: String, name: String, kind: CallKind = .unary, execution: Execution, cost: Cost?,
        callers: [String],
        exposure: Exposure, optionalUser: Bool = false, maximumLane: Lane, emergencyRoles: [String] = [],
        deadline: DeadlineRule, requestLimit: Int, responseLimit: Int, concurrency: Int?, isAdaptive: Bool = false,
        rate: Rate?, onCancel: OnCancel, idempotency: Idempotency, http: HTTPRoute?, request: MessageDescriptor,
        response: MessageDescriptor
    ) {
        self.id = id
        self.service = service
        self.name = name
        self.kind = kind
        self.execution = execution
        self.cost = cost
        self.callers = callers
        self.exposure = exposure
        self.optionalUser = optionalUser
        self.maximumLane = maximumLane
        self.emergencyRoles = emergencyRoles
        self.deadline = deadline
        self.requestLimit = requestLimit
        self.responseLimit = responseLimit
        self.concurrency = concurrency
        self.isAdaptive = isAdaptive
        self.rate = rate
        self.onCancel = onCancel
        self.idempotency = idempotency
        self.http = http
        self.request = request
        self.response = response
    }

    /// `lockstep.auth.v1.AuthService/CreateSession`.
    package var fullName: String { "\(service)/\(name)" }
}

/// How long a call may take.
package struct DeadlineRule: Sendable, Hashable {
    package let `default`: Duration
    package let maximum: Duration
    /// The same as numbers that every call reckons with; the first never beyond the second.
    let defaultNanoseconds: UInt64
    let maximumNanoseconds: UInt64

    package init(default: Duration, maximum: Duration) {
        self.default = `default`
        self.maximum = maximum
        maximumNanoseconds = UInt64(clamping: maximum.wholeNanoseconds)
        defaultNanoseconds = min(UInt64(clamping: `default`.wholeNanoseconds), maximumNanoseconds)
    }
}

/// What the contract says of one service.
package struct ServiceDescriptor: Sendable {
    /// `lockstep.auth.v1.AuthService`.
    package let name: String
    package let execution: Execution
    /// Hosted by SYNC and ASYNC processes alike: health.
    package let hostedByBoth: Bool
    package let methods: [MethodDescriptor]
    /// Over all that is said of the service and its messages; differs when the contract differs.
    package let fingerprint: UInt64

    package init(
        name: String, execution: Execution, hostedByBoth: Bool, methods: [MethodDescriptor], fingerprint: UInt64
    ) {
        self.name = name
        self.execution = execution
        self.hostedByBoth = hostedByBoth
        self.methods = methods
        self.fingerprint = fingerprint
    }
}
