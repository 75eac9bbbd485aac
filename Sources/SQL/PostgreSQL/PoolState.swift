/// How many connections there are, what each does, and what happens next: a value without threads, sockets or clocks.
///
/// A connection is opened when work waits that no idle one takes; above `size` it is closed again once it has been idle
/// for a moment. While the server does not answer, one connection at a time tries, after growing pauses, and work is
/// refused at once rather than made to wait for what may not come.
struct PoolState: Sendable {
    typealias Instant = ContinuousClock.Instant
    typealias ID = Int

    /// The defaults are those that services of the field run with.
    struct Limits: Sendable, Equatable {
        /// Connections that are kept.
        var size = 20
        /// Connections beyond `size`, for bursts.
        var overflow = 30
        /// An older connection is replaced: behind a balancer or after a fail-over the new one goes elsewhere.
        var recycleAge: Duration = .seconds(300)
        /// How long work waits for a connection.
        var waitLimit: Duration = .seconds(30)
        /// How long a connection beyond `size` is idle before it goes.
        var overflowIdle: Duration = .seconds(5)
        /// An idle connection is asked after this whether it is still there.
        var checkInterval: Duration = .seconds(30)
        var firstPause: Duration = .milliseconds(50)
        var longestPause: Duration = .seconds(2)

        var all: Int { size + overflow }
    }

    private enum Phase {
        case opening
        case busy
        case idle(since: Instant, checked: Instant)
    }

    private struct Member {
        var phase: Phase
        var expires: Instant
    }

    private let limits: Limits
    private var members: [ID: Member] = [:]
    /// The last one became idle last: work goes to it, so that those that nobody needs stay idle.
    private var idle: [ID] = []
    private var nextID = 0
    /// Failures to connect without a success between them.
    private var failures = 0
    private var nextAttempt: Instant?

    init(limits: Limits) { self.limits = limits }

    var count: Int { members.count }
    var opening: Int { members.values.count { if case .opening = $0.phase { true } else { false } } }
    /// Nobody is connected and the last attempt failed.
    var isDown: Bool { failures > 0 && members.count == opening }

    // MARK: Work comes

    enum Arrival: Equatable {
        case hand(to: ID)
        /// It waits, and a connection is opened under this id.
        case open(ID)
        case wait
        /// The server does not answer; the next attempt is this far away.
        case refuse(retryAfter: Duration)
    }

    /// - Parameter waiting: work that waits already.
    mutating func arrived(waiting: Int, now: Instant) -> Arrival {
        if let id = idle.popLast() {
            members[id]?.phase = .busy
            return .hand(to: id)
        }
        if failures > 0 { return arrivedInTrouble(now) }
        return waiting < opening || count >= limits.all ? .wait : .open(open())
    }

    /// One attempt at a time; while there is none, only those that are still connected serve.
    private mutating func arrivedInTrouble(_ now: Instant) -> Arrival {
        if opening > 0 { return .wait }
        if let nextAttempt, nextAttempt > now {
            return count > 0 ? .wait : .refuse(retryAfter: now.duration(to: nextAttempt))
        }
        return count >= limits.all ? .wait : .open(open())
    }

    private mutating func open() -> ID {
        nextID += 1
        members[nextID] = Member(phase: .opening, expires: .now)
        return nextID
    }

    // MARK: Connections come and go

    /// - Parameter random: 0 to 1: ages differ, so that connections made together do not end together.
    mutating func opened(_ id: ID, now: Instant, random: Double) {
        failures = 0
        nextAttempt = nil
        members[id] = Member(phase: .busy, expires: now + limits.recycleAge * (0.9 + 0.2 * random))
    }

    /// - Returns: whether nobody is left for those who wait.
    mutating func failedToOpen(_ id: ID, now: Instant, random: Double) -> Bool {
        members[id] = nil
        // Many that fail together are one failure.
        if let nextAttempt, nextAttempt > now { return members.isEmpty }
        failures += 1
        let pause = min(limits.firstPause * (1 << min(failures - 1, 16)), limits.longestPause)
        nextAttempt = now + pause * (0.5 + random)
        return members.isEmpty
    }

    /// The connection broke under its work, which tries again on a new one in its place.
    ///
    /// - Returns: false when another attempt is due first.
    mutating func reopening(_ id: ID, now: Instant) -> Bool {
        if failures > 0, opening > 0 || (nextAttempt.map { $0 > now } ?? false) { return false }
        members[id]?.phase = .opening
        return true
    }

    mutating func closed(_ id: ID) {
        members[id] = nil
        idle.removeAll { $0 == id }
    }

    // MARK: What a connection does next

    enum Next: Equatable {
        /// Takes work that waits.
        case work
        case idle(until: Instant)
        case check
        case close
    }

    /// After work, or after opening.
    mutating func next(_ id: ID, hasWaiting: Bool, now: Instant) -> Next {
        guard let member = members[id], member.expires > now else { return .close }
        if hasWaiting { return .work }
        members[id]?.phase = .idle(since: now, checked: now)
        idle.append(id)
        return .idle(until: wake(id, now))
    }

    /// When nothing came until the instant that `idle` said.
    mutating func woke(_ id: ID, now: Instant) -> Next {
        guard let member = members[id], case .idle(let since, let checked) = member.phase else { return .close }
        if member.expires <= now || (count > limits.size && since + limits.overflowIdle <= now) {
            closed(id)
            return .close
        }
        guard checked + limits.checkInterval <= now else { return .idle(until: wake(id, now)) }
        idle.removeAll { $0 == id }
        members[id]?.phase = .busy
        return .check
    }

    private func wake(_ id: ID, _ now: Instant) -> Instant {
        guard let member = members[id], case .idle(let since, let checked) = member.phase else { return now }
        let end = min(member.expires, checked + limits.checkInterval)
        return count > limits.size ? min(end, since + limits.overflowIdle) : end
    }

    /// Every idle connection ends: the database is being closed.
    mutating func dismissIdle() -> [ID] {
        defer { idle = [] }
        for id in idle { members[id] = nil }
        return idle
    }
}
