/// Counts the frames that cost a peer nothing, in fixed windows (W-120).
struct FloodGuard: Sendable {
    private let limits: FloodLimits
    private let pingWindow: WireDuration
    private var pings = FloodMeter()
    private var cancels = FloodMeter()
    private var smallCredits = FloodMeter()
    private var smallFragments = FloodMeter()
    private var lateFrames = FloodMeter()
    private var unknownFrames = FloodMeter()
    private var provokedErrors = FloodMeter()
    /// Credit that ended calls have left for the frames that are still under way to them.
    private var lateCredit: UInt64 = 0
    private let mostLateCredit: UInt64

    init(_ limits: WireLimits) {
        self.limits = limits.floods
        let (ten, overflow) = limits.minPingInterval.nanoseconds.multipliedReportingOverflow(by: 10)
        pingWindow = WireDuration(nanoseconds: overflow ? .max : ten)
        let ofACall = UInt64(limits.callCredit) + UInt64(WireLimits.streamMessageCost)
        mostLateCredit = UInt64(limits.maxConcurrentCalls) * ofACall
    }

    mutating func ping(_ now: WireInstant) throws(WireViolation) {
        try pings.count(now, window: pingWindow, limit: limits.pings, 121, "PINGs")
    }

    mutating func cancel(_ now: WireInstant) throws(WireViolation) {
        try cancels.count(now, window: limits.window, limit: limits.cancels, 122, "CANCELs")
    }

    mutating func smallCredit(_ now: WireInstant) throws(WireViolation) {
        try smallCredits.count(now, window: limits.window, limit: limits.smallCredits, 123, "small CREDITs")
    }

    mutating func smallFragment(_ now: WireInstant) throws(WireViolation) {
        try smallFragments.count(now, window: limits.window, limit: limits.smallFragments, 124, "small fragments")
    }

    /// A call has ended before its END: what was left of its credit may be under way, and an END behind it.
    mutating func expectLate(_ credit: UInt32) {
        lateCredit = min(mostLateCredit, lateCredit + UInt64(credit) + UInt64(WireLimits.streamMessageCost))
    }

    /// - Parameter cost: The credit that the frame would have cost; nil for one that no credit pays for.
    mutating func lateFrame(_ now: WireInstant, cost: UInt32? = nil) throws(WireViolation) {
        if let cost, cost <= lateCredit {
            lateCredit -= UInt64(cost)
            return
        }
        try lateFrames.count(now, window: limits.window, limit: limits.lateFrames, 125, "frames of ended calls")
    }

    mutating func unknownFrame(_ now: WireInstant) throws(WireViolation) {
        try unknownFrames.count(now, window: limits.window, limit: limits.unknownFrames, 126, "frames of unknown type")
    }

    mutating func provokedError(_ now: WireInstant) throws(WireViolation) {
        try provokedErrors.count(now, window: limits.window, limit: limits.provokedErrors, 127, "faulty calls")
    }
}

/// How many events fell into the current window; the first event after a window's end begins the next.
struct FloodMeter: Sendable {
    private var start: WireInstant?
    private var events: UInt32 = 0

    /// Counts one event; false once there are more than `limit` in the window.
    mutating func admit(_ now: WireInstant, window: WireDuration, limit: UInt32) -> Bool {
        if start.map({ now.elapsed(since: $0) >= window }) ?? true {
            start = now
            events = 0
        }
        events += events == .max ? 0 : 1
        return events <= limit
    }

    fileprivate mutating func count(
        _ now: WireInstant, window: WireDuration, limit: UInt32, _ rule: UInt16, _ what: String
    ) throws(WireViolation) {
        guard admit(now, window: window, limit: limit) else {
            throw .connection(.flood, rule, "more than \(limit) \(what) in \(window.milliseconds) ms")
        }
    }
}
