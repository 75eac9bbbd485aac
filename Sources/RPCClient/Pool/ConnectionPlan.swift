/// Which connections of a pool are to be opened and when: decisions as a value, without sockets, clocks or randomness
/// of its own.
///
///     idle -> connecting -> ready -> idle          connecting -> idle (and nobody connects before `retryAt`)
package struct ConnectionPlan: Sendable {
    /// Names one attempt, so that what a late one reports is not taken for the present.
    package struct Attempt: Sendable, Hashable {
        package let slot: Int
        let number: Int
    }

    private enum Slot {
        case idle
        case connecting(Int)
        case ready(Int)
    }

    private var slots: [Slot]
    private var attempts = 0
    private var backoff: Backoff
    /// No attempt begins before it.
    package private(set) var retryAt: ContinuousClock.Instant?
    /// Why the last attempt failed, until one succeeds.
    package private(set) var lastFailure: String?

    package init(connections: Int, backoff: Backoff) {
        self.slots = Array(repeating: .idle, count: max(connections, 1))
        self.backoff = backoff
    }

    /// An attempt is under way.
    package var isConnecting: Bool {
        slots.contains { if case .connecting = $0 { true } else { false } }
    }

    /// The service has failed, or ended a connection, and has answered nothing since.
    package private(set) var isDoubtful = false
    /// It has answered since the first of the connections that are there now was opened.
    private var isProven = false

    private var hasReady: Bool {
        slots.contains { if case .ready = $0 { true } else { false } }
    }

    /// A call wants a connection: the attempts to begin now. An urgent one waits for no pause.
    package mutating func demand(now: ContinuousClock.Instant, isUrgent: Bool = false) -> [Attempt] {
        if let retryAt, now < retryAt, !isUrgent { return [] }
        retryAt = nil
        return slots.indices.compactMap { begin($0) }
    }

    /// The attempt led to a usable connection; false when nobody waits for it any more.
    package mutating func connected(_ attempt: Attempt) -> Bool {
        guard case .connecting(attempt.number) = slots[attempt.slot] else { return false }
        if !hasReady { isProven = false }
        slots[attempt.slot] = .ready(attempt.number)
        retryAt = nil
        lastFailure = nil
        return true
    }

    /// The service has answered a call: it is well.
    package mutating func proved() {
        backoff.reset()
        isDoubtful = false
        isProven = true
    }

    /// The last connection ended, and had not answered anything itself.
    package mutating func doubt() {
        if !isProven { isDoubtful = true }
    }

    /// The attempt failed; the next one waits.
    package mutating func failed(
        _ attempt: Attempt, _ reason: String, now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        guard case .connecting(attempt.number) = slots[attempt.slot] else { return }
        slots[attempt.slot] = .idle
        lastFailure = reason
        // A service that serves over other connections is well, and has no room for this one.
        if !hasReady { isDoubtful = true }
        pause(now: now, using: &random)
    }

    /// No attempt begins for a while. Connections that fail together are one failure of the service, not several.
    package mutating func pause(now: ContinuousClock.Instant, using random: inout some RandomNumberGenerator) {
        if retryAt == nil { retryAt = now.advanced(by: backoff.next(using: &random)) }
    }

    /// A connection that was usable takes no more calls.
    package mutating func retired(_ attempt: Attempt) {
        guard case .ready(attempt.number) = slots[attempt.slot] else { return }
        slots[attempt.slot] = .idle
    }

    private mutating func begin(_ slot: Int) -> Attempt? {
        guard case .idle = slots[slot] else { return nil }
        attempts += 1
        slots[slot] = .connecting(attempts)
        return Attempt(slot: slot, number: attempts)
    }
}
