/// When a message that could not be delivered is tried again: doubling waits up to a cap, the second half of each wait
/// random, so that what failed together does not come back together.
package struct RetryPolicy: Sendable {
    package var first: Duration
    package var longest: Duration
    /// Deliveries tried before the message is given up.
    package var maximumAttempts: Int

    package init(first: Duration = .seconds(1), longest: Duration = .seconds(600), maximumAttempts: Int = 20) {
        self.first = first
        self.longest = longest
        self.maximumAttempts = maximumAttempts
    }

    /// The longest wait after the given number of attempts.
    package func ceiling(afterAttempt attempt: Int) -> Duration {
        let doublings = min(max(attempt - 1, 0), 40)
        return min(first * (1 << doublings), longest)
    }

    /// The wait itself.
    ///
    /// - Parameter random: in 0..<1.
    package func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        let ceiling = ceiling(afterAttempt: attempt)
        return ceiling / 2 + ceiling / 2 * min(max(random, 0), 1)
    }
}
