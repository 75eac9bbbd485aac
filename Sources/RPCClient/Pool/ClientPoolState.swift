import DequeModule
import RPCCore

/// What a pool knows: its plan, its connections, and the calls that wait.
struct ClientPoolState {
    var plan: ConnectionPlan
    /// Connections that take calls.
    private(set) var ready: [ClientConnectionHandle] = []
    /// All connections, from the attempt to the end.
    var live: [ObjectIdentifier: ClientConnectionHandle] = [:]
    private(set) var waiting = Deque<PendingCall>()
    private(set) var isClosing = false
    private var isRetryScheduled = false
    private var turn = 0

    init(_ plan: ConnectionPlan) { self.plan = plan }

    enum Verdict {
        /// The call waits; these attempts are to begin.
        case waits([ConnectionPlan.Attempt])
        /// A connection became ready since the caller looked: nobody would wake the call for it again.
        case ready(ClientConnectionHandle)
        case closed
        /// Its caller is gone.
        case ended
        /// Too many wait.
        case full
        /// The call would not wait for a connection.
        case notReady
    }

    /// The connection on this thread's loop, else each in turn; never one that has said that it is full. That one owes
    /// a wake-up, and clears the mark before it looks for calls that wait: so none is left behind.
    private mutating func pick() -> ClientConnectionHandle? {
        if let here = ready.first(where: { $0.isHere && !$0.isFull }) { return here }
        for _ in ready.indices {
            turn = (turn + 1) % ready.count
            if !ready[turn].isFull { return ready[turn] }
        }
        return nil
    }

    mutating func wait(
        _ call: PendingCall, first: Bool, limit: Int, now: ContinuousClock.Instant
    ) -> Verdict {
        guard !isClosing else { return .closed }
        guard !call.isEnded else { return .ended }
        if let connection = pick() { return .ready(connection) }
        guard first || waiting.count < limit else { return .full }
        let attempts = plan.demand(now: now, isUrgent: ready.isEmpty && !plan.isDoubtful)
        guard call.options.waitForReady || !ready.isEmpty || plan.isConnecting else { return .notReady }
        if first { waiting.prepend(call) } else { waiting.append(call) }
        return .waits(attempts)
    }

    mutating func nextWaiting() -> PendingCall? { waiting.popFirst() }

    mutating func forget(_ call: PendingCall) {
        if let index = waiting.firstIndex(where: { $0 === call }) { waiting.remove(at: index) }
    }

    /// Takes out the calls that wait for no second attempt, once there is nothing under way.
    mutating func impatient() -> [PendingCall] {
        guard ready.isEmpty, !plan.isConnecting else { return [] }
        defer { waiting.removeAll { !$0.options.waitForReady } }
        return waiting.filter { !$0.options.waitForReady }
    }

    mutating func connected(_ connection: ClientConnectionHandle) -> Bool {
        guard plan.connected(connection.attempt), !isClosing else { return false }
        ready.append(connection)
        return true
    }

    /// The attempts to begin now. A pause comes first where no call waits, and after a connection that served none: a
    /// server that takes connections only to end them again is not to be asked without end.
    mutating func retired(
        _ connection: ClientConnectionHandle, hasServed: Bool, now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> [ConnectionPlan.Attempt] {
        ready.removeAll { $0 === connection }
        plan.retired(connection.attempt)
        if !hasServed, ready.isEmpty { plan.doubt() }
        if !hasServed || (waiting.isEmpty && !ready.isEmpty) { plan.pause(now: now, using: &random) }
        return demand(now: now)
    }

    /// An idle connection has ended: none takes its place before a call wants one.
    mutating func dropped(_ connection: ClientConnectionHandle) {
        ready.removeAll { $0 === connection }
        plan.retired(connection.attempt)
    }

    /// When to call `retry`, unless somebody does already.
    mutating func retryToSchedule() -> ContinuousClock.Instant? {
        guard isWanted, !isRetryScheduled, let retryAt = plan.retryAt else { return nil }
        isRetryScheduled = true
        return retryAt
    }

    mutating func retry(now: ContinuousClock.Instant) -> [ConnectionPlan.Attempt] {
        isRetryScheduled = false
        return demand(now: now)
    }

    mutating func close() -> (waiting: [PendingCall], live: [ClientConnectionHandle]) {
        isClosing = true
        defer { waiting = [] }
        ready = []
        return (Array(waiting), Array(live.values))
    }

    /// The attempts to begin now.
    mutating func demand(now: ContinuousClock.Instant) -> [ConnectionPlan.Attempt] {
        isWanted ? plan.demand(now: now) : []
    }

    /// Calls wait, or the pool is in use and may have lost some of its connections.
    private var isWanted: Bool { !isClosing && (!waiting.isEmpty || !ready.isEmpty) }
}
