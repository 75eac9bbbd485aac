internal import RPCCore
internal import ServiceKit

/// What the hashing pool said when it last refused somebody, for each lane.
///
/// A pool that is full says when it may have room for one more: who comes before that would be refused too. A sign-in that only the
/// pool refuses has been counted in the database by then, and is taken back there: two writes for nothing, while there is too much
/// to do anyway. So it is asked about here first. Whether there is an account has no part in it.
///
/// | | a refusal for a full pool | somebody comes |
/// |---|---|---|
/// | fewer than `fewest` refusals within `window` | counted | let in: calls are tried again as long as few are refused, and may find room |
/// | `fewest` or more | begins a pause until the pool may have room, `longestPause` at most | refused in the pause, else let in |
struct HashingRoom: Sendable {
    /// Behind one name there may be several pools, and of them one was full: no refusal counts for longer.
    static let longestPause: Duration = .milliseconds(100)
    static let fewest = 3
    static let window: Duration = .seconds(1)

    private struct Refusals {
        var since: ContinuousClock.Instant
        var count = 0
        var pause: (told: DownstreamError, end: ContinuousClock.Instant)?
    }

    private var lanes: [Lane: Refusals] = [:]

    /// A refusal that says nothing of others changes nothing: one that names no time, and one for a deadline that is too near.
    ///
    /// - Parameter told: What whoever comes until then is told.
    mutating func note(_ refusal: RPCError, told: DownstreamError, in lane: Lane, now: ContinuousClock.Instant) {
        guard refusal.reason == "busy", let pause = refusal.retryAfter else { return }
        var refusals = lanes[lane] ?? Refusals(since: now)
        if refusals.since.duration(to: now) >= Self.window { refusals = Refusals(since: now) }
        refusals.count += 1
        if refusals.count >= Self.fewest { refusals.pause = (told, now + min(pause, Self.longestPause)) }
        lanes[lane] = refusals
    }

    /// - Returns: Nil when there may be room.
    func refusal(in lane: Lane, now: ContinuousClock.Instant) -> DownstreamError? {
        guard let (told, end) = lanes[lane]?.pause, now < end else { return nil }
        return told
    }
}
