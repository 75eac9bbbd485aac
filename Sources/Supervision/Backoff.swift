/// How long to wait before a process that ended is started again: doubled with each failure, up to a bound, and from
/// the start again once the process has run for a while.
package struct RestartBackoff: Sendable, Hashable {
    package var first: Duration
    package var longest: Duration
    /// Having run this long, a process counts as healthy.
    package var healthyAfter: Duration

    package init(
        first: Duration = .milliseconds(200), longest: Duration = .seconds(10), healthyAfter: Duration = .seconds(10)
    ) {
        self.first = first
        self.longest = longest
        self.healthyAfter = healthyAfter
    }

    /// The pause after the given number of failures in a row, which is 1 at least.
    package func delay(afterFailures failures: Int) -> Duration {
        // Doubling ends far below where it would overflow.
        let doublings = min(max(failures - 1, 0), 20)
        return min(first * (1 << doublings), longest)
    }
}
