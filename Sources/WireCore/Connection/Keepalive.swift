/// Finds a dead peer: pings after silence, gives up when nothing at all answers (W-92).
struct Keepalive: Sendable {
    private var interval: WireDuration
    private let timeout: WireDuration
    private var minInterval = WireDuration.zero
    private var lastHeard: WireInstant
    private var lastPing: Ping?
    private var nextValue: UInt64 = 1

    private struct Ping {
        var value: UInt64
        var sentAt: WireInstant
        var isAnswered = false
    }

    enum OnTimeout: Equatable {
        case wait
        /// Send PING with this value.
        case ping(UInt64)
        case dead
    }

    init(_ limits: WireLimits, now: WireInstant) {
        interval = limits.keepaliveInterval
        timeout = limits.keepaliveTimeout
        lastHeard = now
    }

    /// The peer's HELLO is here: its minimum binds this side.
    mutating func honour(minInterval: WireDuration) {
        self.minInterval = minInterval
        interval = max(interval, minInterval)
    }

    /// Any byte shows that the peer lives.
    mutating func heard(_ now: WireInstant) {
        lastHeard = max(lastHeard, now)
    }

    /// The value of a new PING, or nil while one is under way or the peer's minimum forbids it.
    mutating func startPing(_ now: WireInstant) -> UInt64? {
        guard awaited == nil, lastPing.map({ now.elapsed(since: $0.sentAt) >= minInterval }) ?? true else { return nil }
        defer { nextValue &+= 1 }
        lastPing = Ping(value: nextValue, sentAt: now)
        return nextValue
    }

    /// The round trip of the PING that `value` answers.
    mutating func receivePong(_ value: UInt64, now: WireInstant) throws(WireViolation) -> WireDuration {
        guard let ping = awaited, ping.value == value else {
            throw .connection(.protocolError, 91, "a PONG that answers no PING")
        }
        lastPing?.isAnswered = true
        return now.elapsed(since: ping.sentAt)
    }

    var nextTimeout: WireInstant {
        if let awaited { return max(awaited.sentAt, lastHeard).advanced(by: timeout) }
        let quiet = lastHeard.advanced(by: interval)
        return lastPing.map { max(quiet, $0.sentAt.advanced(by: minInterval)) } ?? quiet
    }

    mutating func handleTimeout(_ now: WireInstant) -> OnTimeout {
        guard now >= nextTimeout else { return .wait }
        guard awaited == nil else { return .dead }
        return startPing(now).map { .ping($0) } ?? .wait
    }

    private var awaited: Ping? {
        lastPing.flatMap { $0.isAnswered ? nil : $0 }
    }
}
