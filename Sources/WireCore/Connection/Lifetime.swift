/// When a connection has had its time: it is old, or nobody has used it for long (W-108).
///
/// Calls tell it nothing, so that it costs them nothing: it looks, several times in each idle timeout, whether there
/// are any. So an idle connection ends within an eighth of the timeout after it.
struct Lifetime: Sendable {
    /// Looks in one idle timeout.
    private static let looks: UInt64 = 8

    private let ends: WireInstant?
    private let idleTimeout: WireDuration?
    private var nextLook: WireInstant?
    /// Since when no look has found a call.
    private var quietSince: WireInstant
    private var lastCall: UInt32 = 0

    enum Verdict: Equatable {
        case goOn
        case idle
        case old
    }

    init(_ limits: WireLimits, now: WireInstant) {
        ends = limits.maxAge.map { now.advanced(by: $0) }
        idleTimeout = limits.idleTimeout
        quietSince = now
        nextLook = limits.idleTimeout.map { now.advanced(by: Self.pause($0)) }
    }

    /// When to look; nil: there is nothing to look for.
    var nextTimeout: WireInstant? {
        guard let ends else { return nextLook }
        return nextLook.map { min($0, ends) } ?? ends
    }

    /// - Parameters:
    ///   - openCalls: Calls that have no STATUS yet.
    ///   - lastCall: The highest call id so far.
    mutating func look(_ now: WireInstant, openCalls: Int, lastCall: UInt32) -> Verdict {
        if let ends, now >= ends { return .old }
        guard let idleTimeout, let due = nextLook, now >= due else { return .goOn }
        nextLook = now.advanced(by: Self.pause(idleTimeout))
        guard openCalls == 0, lastCall == self.lastCall else {
            self.lastCall = lastCall
            quietSince = now
            return .goOn
        }
        return now.elapsed(since: quietSince) >= idleTimeout ? .idle : .goOn
    }

    private static func pause(_ idleTimeout: WireDuration) -> WireDuration {
        WireDuration(nanoseconds: max(1, idleTimeout.nanoseconds / looks))
    }
}
