/// How long to wait between attempts to connect: twice as long after each failure, with full jitter, so that the
/// clients of a service that came back do not arrive together.
package struct Backoff: Sendable, Hashable {
    package let base: Duration
    package let maximum: Duration
    /// No wait is shorter.
    package let minimum: Duration
    private var failures = 0

    /// Beyond it doubling changes nothing.
    private static let mostDoublings = 20

    package init(
        base: Duration = .milliseconds(50), maximum: Duration = .seconds(1), minimum: Duration = .milliseconds(5)
    ) {
        self.base = base
        self.maximum = max(maximum, minimum)
        self.minimum = minimum
    }

    /// The longest that the next wait can be.
    package var ceiling: Duration {
        max(minimum, min(maximum, base * (1 << min(failures, Self.mostDoublings))))
    }

    /// One more failure: how long to wait now.
    package mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let span = ceiling - minimum
        failures += 1
        return minimum + span * Double.random(in: 0...1, using: &random)
    }

    /// How long to wait after so many failures, for whoever counts them elsewhere.
    package func pause(after failures: Int, using random: inout some RandomNumberGenerator) -> Duration {
        var backoff = self
        backoff.failures = max(failures, 1) - 1
        return backoff.next(using: &random)
    }

    /// A connection works again.
    package mutating func reset() { failures = 0 }
}
