/// A limit on calls at once that follows their latency: a value, told of calls and times, without clocks.
///
/// Calls are counted in windows. A window's mean latency is compared with the least of recent windows, which stands for
/// a service that nothing waits in. While it is within `tolerance` of that, the limit grows by its square root; beyond,
/// it shrinks in proportion, at most to half (Netflix concurrency-limits, `Gradient2Limit`). A service that is never
/// idle would take its own queue for its best: so, while calls are being refused, a window with only `minimum` calls
/// measures afresh now and then (Envoy, adaptive concurrency). Emergencies keep their fifth of the whole limit meanwhile; if
/// that makes a probe busier than it was to be, it may better what is known and not worsen it. A limit that nobody reaches
/// does not change.
package struct LatencyGradient: Sendable {
    package struct Policy: Sendable, Hashable {
        /// Calls at once that are always allowed: so many that a fifth of them is one.
        package var minimum = 5
        /// At the start: enough for the burst of a few hundred callers, from which it shrinks within seconds.
        package var initial = 256
        package var maximum = 1024
        /// How much slower than at its best a window may be. Under overload a limit settles where growth and shrinking
        /// are even, which is further out: at 1.25, calls take about 1.7 times as long as at their best.
        package var tolerance = 1.25
        /// The weight of the new limit against the old one.
        package var smoothing = 0.5
        /// The shortest window.
        package var window = Duration.milliseconds(100)
        /// The fewest calls that are a window.
        package var samples = 16
        /// How long a measured best holds under load.
        package var probeInterval = Duration.seconds(30)

        package init() {}

        /// The default with another ceiling.
        package init(maximum: Int) {
            self.maximum = max(maximum, 1)
            minimum = min(minimum, self.maximum)
            initial = min(initial, self.maximum)
        }
    }

    private struct Window {
        var begun: MonotonicInstant
        var count = 0
        var sum = Duration.zero
        var mostInFlight = 0
        /// Calls that ended while more were under way than a probe is to have.
        var disturbances = 0

        var mean: Duration { sum / max(count, 1) }
    }

    private let policy: Policy
    private var smooth: Double
    private var window: Window
    /// The mean of the best window since the last probe.
    private var best: Duration?
    private var nextProbe: MonotonicInstant
    private var isProbing = false

    package init(_ policy: Policy = Policy(), now: MonotonicInstant) {
        self.policy = policy
        smooth = Double(policy.initial)
        window = Window(begun: now)
        // Who starts under load has seen nothing else: it looks again soon.
        nextProbe = now.advanced(by: policy.window * 5)
    }

    /// Calls at once.
    package var limit: Int { isProbing ? policy.minimum : Int(smooth) }

    /// How the two lanes share them.
    package var shares: LaneShares { LaneShares(limit: limit, of: Int(smooth)) }

    /// A call has ended.
    ///
    /// - Parameters:
    ///   - latency: From its arrival.
    ///   - inFlight: Calls under way when it ended, itself included.
    package mutating func record(_ latency: Duration, inFlight: Int, now: MonotonicInstant) {
        // What began before a probe was slowed down by what the probe is to do without.
        guard !isProbing || now.advanced(by: Duration.zero - latency) >= window.begun else { return }
        if isProbing, inFlight > 2 * policy.minimum {
            // Of what the limit before had let in, or of emergencies: the first is over soon, a flood of the second may not be.
            window.disturbances += 1
            guard window.disturbances > Int(smooth) + 4 * policy.samples else { return }
        }
        window.count += 1
        window.sum += latency
        window.mostInFlight = max(window.mostInFlight, inFlight)
        guard window.count >= policy.samples, window.begun.duration(to: now) >= policy.window else { return }
        close(now)
    }

    private mutating func close(_ now: MonotonicInstant) {
        let closed = window
        window = Window(begun: now)
        if isProbing {
            isProbing = false
            let isDisturbed = closed.mostInFlight > 2 * policy.minimum
            best = isDisturbed ? min(best ?? closed.mean, closed.mean) : closed.mean
            nextProbe = now.advanced(by: policy.probeInterval)
            return
        }
        best = min(best ?? closed.mean, closed.mean)
        // Half of the limit is not in use: what was measured says nothing about it.
        guard closed.mostInFlight * 2 >= limit else { return }
        smooth = next(closed.mean)
        if now >= nextProbe, closed.mostInFlight >= LaneShares(limit: limit).routine { isProbing = true }
    }

    private func next(_ mean: Duration) -> Double {
        let gradient = min(1, max(0.5, policy.tolerance * ((best ?? mean) / max(mean, .nanoseconds(1)))))
        let wanted = smooth * gradient + smooth.squareRoot()
        let mixed = smooth * (1 - policy.smoothing) + wanted * policy.smoothing
        return min(max(mixed, Double(policy.minimum)), Double(policy.maximum))
    }
}
