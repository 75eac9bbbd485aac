/// How one call is to be made.
///
/// One word wide: options pass through several hands before a call is on its way, and nearly all are the default ones.
package struct CallOptions: Sendable {
    /// `@unchecked Sendable`: changed only while a single value holds it.
    private final class Storage: @unchecked Sendable {
        var timeout: Duration?
        var deadline: Deadline?
        var lane = Lane.routine
        var requestID: String?
        var userToken: String?
        var origin = ClientOrigin()
        var metadata = Metadata()
        var trace: TraceContext?
        var onEnd: (@Sendable (CallTimeline) -> Void)?
        var waitForReady: Bool?
        var repeats = true
        var hedgeDelay: Duration?

        init() {}

        init(copying other: Storage) {
            timeout = other.timeout
            deadline = other.deadline
            lane = other.lane
            requestID = other.requestID
            userToken = other.userToken
            origin = other.origin
            metadata = other.metadata
            trace = other.trace
            onEnd = other.onEnd
            waitForReady = other.waitForReady
            repeats = other.repeats
            hedgeDelay = other.hedgeDelay
        }
    }

    private static let standard = Storage()
    private var storage = Self.standard

    package init() {}

    package init(timeout: Duration?) {
        if let timeout { self.timeout = timeout }
    }

    private mutating func own() -> Storage {
        if !isKnownUniquelyReferenced(&storage) { storage = Storage(copying: storage) }
        return storage
    }

    /// From the start of this call. The earliest of this, `deadline` and the contract's own is what counts.
    package var timeout: Duration? {
        get { storage.timeout }
        set { own().timeout = newValue }
    }
    /// The deadline of the call on whose behalf this one is made.
    package var deadline: Deadline? {
        get { storage.deadline }
        set { own().deadline = newValue }
    }
    package var lane: Lane {
        get { storage.lane }
        set { own().lane = newValue }
    }
    /// Made up by the channel when nil.
    package var requestID: String? {
        get { storage.requestID }
        set { own().requestID = newValue }
    }
    package var userToken: String? {
        get { storage.userToken }
        set { own().userToken = newValue }
    }
    package var origin: ClientOrigin {
        get { storage.origin }
        set { own().origin = newValue }
    }
    package var metadata: Metadata {
        get { storage.metadata }
        set { own().metadata = newValue }
    }
    package var trace: TraceContext? {
        get { storage.trace }
        set { own().trace = newValue }
    }
    /// Told once how the time of a call that began went, however it ended: errors carry the same. Called where the call
    /// ends, event loops included: it must not block.
    package var onEnd: (@Sendable (CallTimeline) -> Void)? {
        get { storage.onEnd }
        set { own().onEnd = newValue }
    }
    /// Whether to wait for a connection until the deadline, or fail at once without one. Nil: as the channel does.
    package var waitForReady: Bool? {
        get { storage.waitForReady }
        set { own().waitForReady = newValue }
    }
    /// Whether the channel may send the call again when that is safe: see its own options for how often.
    package var repeats: Bool {
        get { storage.repeats }
        set { own().repeats = newValue }
    }
    /// Sends the call once more when it has had no answer for so long: unary methods without side effects only. Nil: as
    /// the channel does, which is never by itself.
    package var hedgeDelay: Duration? {
        get { storage.hedgeDelay }
        set { own().hedgeDelay = newValue }
    }
    /// Nothing is said: what a caller that minds no more than its answer passes.
    package var isStandard: Bool { storage === Self.standard }

    /// The deadline that counts: the contract's default when nothing is said, never beyond the contract's maximum.
    package func effectiveDeadline(for method: MethodDescriptor, now: MonotonicInstant = .now) -> Deadline {
        if isStandard { return Deadline(now.advanced(byNanoseconds: method.deadline.defaultNanoseconds)) }
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
