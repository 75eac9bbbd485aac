internal import RPCCore
internal import ServiceKit

/// What the hashing pool said when it last refused somebody, for each lane.
///
/// A pool that is full says when it may have room for one more: who comes before that would be refused too. A sign-in that only the
/// pool refuses has been counted in the database by then, and is taken back there: two writes for nothing, while there is too much
/// to do anyway. So it is asked about here first. Whether there is an account has no part in it.
struct HashingRoom: Sendable {
    /// Behind one name there may be several pools, and of them one was full: no refusal counts for longer.
    static let longestPause: Duration = .milliseconds(100)

    private var refusals: [Lane: (told: DownstreamError, end: ContinuousClock.Instant)] = [:]

    /// A refusal that says nothing of others changes nothing: one that names no time, and one for a deadline that is too near.
    ///
    /// - Parameter told: What whoever comes until then is told.
    mutating func note(_ refusal: RPCError, told: DownstreamError, in lane: Lane, now: ContinuousClock.Instant) {
        guard refusal.reason == "busy", let pause = refusal.retryAfter else { return }
        refusals[lane] = (told, now + min(pause, Self.longestPause))
    }

    /// - Returns: Nil when there may be room.
    mutating func refusal(in lane: Lane, now: ContinuousClock.Instant) -> DownstreamError? {
        guard let (told, end) = refusals[lane] else { return nil }
        if now < end { return told }
        refusals[lane] = nil
        return nil
    }
}
