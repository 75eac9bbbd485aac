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

    private var refusals: [Lane: (refusal: DownstreamError, end: ContinuousClock.Instant)] = [:]

    /// - Parameters:
    ///   - pause: What the pool asked for; nil when it did not say, which says nothing of others either.
    ///   - refusal: What whoever comes until then is told.
    mutating func note(_ refusal: DownstreamError, in lane: Lane, pause: Duration?, now: ContinuousClock.Instant) {
        guard let pause else { return }
        refusals[lane] = (refusal, now + min(pause, Self.longestPause))
    }

    /// - Returns: Nil when there may be room.
    mutating func refusal(in lane: Lane, now: ContinuousClock.Instant) -> DownstreamError? {
        guard let (refusal, end) = refusals[lane] else { return nil }
        if now < end { return refusal }
        refusals[lane] = nil
        return nil
    }
}
