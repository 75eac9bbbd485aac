package import RPCCore

/// A token bucket: `capacity` at once, refilled evenly over `period`.
package struct TokenBucket: Sendable, Hashable {
    private var tokens: Double
    private var updated: ContinuousClock.Instant

    /// A full one.
    package init(capacity: Double, now: ContinuousClock.Instant) {
        self.tokens = capacity
        self.updated = now
    }

    /// Takes one token.
    ///
    /// - Returns: Nil when there was one, else how long until there is.
    package mutating func take(capacity: Double, period: Duration, now: ContinuousClock.Instant) -> Duration? {
        refill(capacity: capacity, period: period, now: now)
        guard tokens < 1 else {
            tokens -= 1
            return nil
        }
        return period * ((1 - tokens) / capacity)
    }

    private mutating func refill(capacity: Double, period: Duration, now: ContinuousClock.Instant) {
        guard now > updated else { return }
        tokens = min(capacity, tokens + capacity * ((now - updated) / period))
        updated = now
    }
}

/// The `gateway.rate_limits` setting: the contract's limits times a factor, or none.
package enum RateScale: Sendable, Hashable {
    case off
    case factor(Double)

    package static let on = RateScale.factor(1)
    /// The largest and the smallest factor.
    package static let bounds = 0.01...1_000_000.0

    /// `on`, `off` or a positive number; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "on": self = .on
        case "off": self = .off
        default:
            guard let factor = Double(text), Self.bounds.contains(factor) else { return nil }
            self = .factor(factor)
        }
    }

    /// The bucket's size for a limit of the contract; nil for no limit. Never under one, which would refuse everything.
    package func capacity(of rate: Rate) -> Double? {
        switch self {
        case .off: nil
        case .factor(let factor): max(1, Double(rate.limit) * factor)
        }
    }
}
