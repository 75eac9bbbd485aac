/// When a resolver looks: at intervals, sooner where connections fail, never more often than its pause allows.
/// Decisions as a value: time and chance are passed in.
///
/// | event | idle | waiting | looking | stopped |
/// |---|---|---|---|---|
/// | start | look | – | – | – |
/// | refresh | – | look, or wait for the pause's end if that is sooner | look again after the pause | – |
/// | time | – | look when it is due | – | – |
/// | success | – | – | wait for the interval | – |
/// | failure | – | – | wait, twice as long after each, at most the interval | – |
/// | stop | → stopped | → stopped | → stopped | – |
package struct ResolutionSchedule: Sendable {
    package enum Action: Sendable, Hashable {
        case look
        case wait(until: ContinuousClock.Instant)
    }

    private enum State {
        case idle
        case waiting(until: ContinuousClock.Instant)
        case looking(isAskedAgain: Bool)
        case stopped
    }

    private let interval: Duration
    private let pause: Duration
    private var backoff: Backoff
    private var state = State.idle
    private var lookedAt: ContinuousClock.Instant?

    /// An interval is made longer or shorter by up to this share, so that clients do not ask together.
    private static let jitter = 0.1

    /// - Parameters:
    ///   - interval: Between two looks when all is well.
    ///   - pause: The least between two looks.
    package init(interval: Duration, pause: Duration) {
        self.interval = max(interval, .milliseconds(1))
        self.pause = min(pause, self.interval)
        backoff = Backoff(base: self.pause * 2, maximum: self.interval, minimum: self.pause)
    }

    package mutating func start(now: ContinuousClock.Instant) -> Action? {
        guard case .idle = state else { return nil }
        return look(now)
    }

    package mutating func refresh(now: ContinuousClock.Instant) -> Action? {
        switch state {
        case .idle, .stopped: return nil
        case .looking:
            state = .looking(isAskedAgain: true)
            return nil
        case .waiting(let until):
            let soonest = lookedAt.map { $0.advanced(by: pause) } ?? now
            guard soonest > now else { return look(now) }
            return soonest < until ? wait(until: soonest) : nil
        }
    }

    package mutating func time(now: ContinuousClock.Instant) -> Action? {
        guard case .waiting(let until) = state, now >= until else { return nil }
        return look(now)
    }

    package mutating func ended(
        isFailure: Bool, now: ContinuousClock.Instant, using random: inout some RandomNumberGenerator
    ) -> Action? {
        guard case .looking(let isAskedAgain) = state else { return nil }
        if isFailure { return wait(until: now.advanced(by: backoff.next(using: &random))) }
        backoff.reset()
        if isAskedAgain { return wait(until: now.advanced(by: pause)) }
        let spread = Double.random(in: (1 - Self.jitter)...(1 + Self.jitter), using: &random)
        return wait(until: now.advanced(by: interval * spread))
    }

    package mutating func stop() { state = .stopped }

    private mutating func look(_ now: ContinuousClock.Instant) -> Action {
        lookedAt = now
        state = .looking(isAskedAgain: false)
        return .look
    }

    private mutating func wait(until: ContinuousClock.Instant) -> Action {
        state = .waiting(until: until)
        return .wait(until: until)
    }
}
