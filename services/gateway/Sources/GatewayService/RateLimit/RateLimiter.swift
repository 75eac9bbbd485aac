package import RPCCore
import Synchronization

/// The buckets of all clients: one for each method and whoever the contract keys its limit by.
///
/// Bounded: when the table is full, buckets that have refilled go, then the older half of the rest. A client whose
/// bucket went starts with a full one, so an attacker with very many addresses gains bursts, never unbounded memory.
package final class RateLimiter: Sendable {
    /// Buckets kept at once.
    package static let defaultCapacity = 65_536

    private struct Key: Hashable {
        let method: UInt32
        let holder: String
    }

    private struct Entry {
        var bucket: TokenBucket
        let capacity: Double
        let period: Duration
    }

    private let scale: RateScale
    private let capacity: Int
    private let entries = Mutex<[Key: Entry]>([:])

    package init(scale: RateScale, capacity: Int = RateLimiter.defaultCapacity) {
        self.scale = scale
        self.capacity = max(1, capacity)
    }

    /// Buckets held now.
    package var count: Int { entries.withLock { $0.count } }

    /// Takes one call of `method` from the bucket of `holder`.
    ///
    /// - Parameter holder: The verified user's id or the client's address; never anything unverified.
    /// - Returns: Nil when the call may go on, else how long to wait.
    package func take(_ method: MethodDescriptor, holder: String, now: ContinuousClock.Instant) -> Duration? {
        guard let rate = method.rate, let size = scale.capacity(of: rate) else { return nil }
        let key = Key(method: method.id, holder: holder)
        return entries.withLock { entries in
            if entries[key] == nil, entries.count >= capacity { Self.shrink(&entries, to: capacity, now: now) }
            let fresh = Entry(
                bucket: TokenBucket(capacity: size, now: now), capacity: size, period: rate.period)
            return entries[key, default: fresh].bucket.take(capacity: size, period: rate.period, now: now)
        }
    }

    private static func shrink(_ entries: inout [Key: Entry], to capacity: Int, now: ContinuousClock.Instant) {
        entries = entries.filter { _, entry in
            !entry.bucket.isFull(capacity: entry.capacity, period: entry.period, now: now)
        }
        guard entries.count > capacity / 2 else { return }
        let newestFirst = entries.sorted { $0.value.bucket.updated > $1.value.bucket.updated }
        entries = Dictionary(newestFirst.prefix(capacity / 2).map { ($0.key, $0.value) }) { first, _ in first }
    }
}
