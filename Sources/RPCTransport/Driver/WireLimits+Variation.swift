package import WireCore

extension WireLimits {
    /// By how much a connection's age and idle timeout differ from those of the next, either way.
    private static let spread = 0.1

    /// The same limits for one of many connections: its age and idle timeout are up to a tenth shorter or longer, so
    /// that connections that began together do not end together.
    package func varied(using random: inout some RandomNumberGenerator) -> WireLimits {
        var limits = self
        limits.maxAge = maxAge.map { Self.vary($0, &random) }
        limits.idleTimeout = idleTimeout.map { Self.vary($0, &random) }
        return limits
    }

    private static func vary(_ duration: WireDuration, _ random: inout some RandomNumberGenerator) -> WireDuration {
        let factor = Double.random(in: 1 - spread...1 + spread, using: &random)
        let varied = Double(duration.nanoseconds) * factor
        return WireDuration(nanoseconds: max(1, UInt64(exactly: varied.rounded()) ?? .max))
    }
}
