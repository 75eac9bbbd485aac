package import RPCCore
import Synchronization

/// The buckets of all clients: one for each method and whoever the contract keys its limit by.
///
/// Bounded, in two generations: when the younger one has half of the places, it becomes the older one, and what nobody asked for
/// since the last time goes at once. Nobody sorts or searches a table while requests wait for its lock. A client whose bucket
/// went starts with a full one, so an attacker with very many addresses gains bursts, never unbounded memory.
package final class RateLimiter: Sendable {
    /// Buckets kept at once.
    package static let defaultCapacity = 65_536

    private struct Key: Hashable {
        let method: UInt32
        let holder: String
    }

    private struct Generations {
        var young: [Key: TokenBucket] = [:]
        var old: [Key: TokenBucket] = [:]
    }

    private let scale: RateScale
    private let capacity: Int
    private let generations = Mutex(Generations())

    package init(scale: RateScale, capacity: Int = RateLimiter.defaultCapacity) {
        self.scale = scale
        self.capacity = max(1, capacity)
    }

    /// Buckets held now.
    package var count: Int { generations.withLock { $0.young.count + $0.old.count } }

    /// Takes one call of `method` from the bucket of `holder`.
    ///
    /// - Parameter holder: The verified user's id or the client's address; never anything unverified.
    /// - Returns: Nil when the call may go on, else how long to wait.
    package func take(_ method: MethodDescriptor, holder: String, now: ContinuousClock.Instant) -> Duration? {
        guard let rate = method.rate, let size = scale.capacity(of: rate) else { return nil }
        let key = Key(method: method.id, holder: holder)
        let (wait, forgotten) = generations.withLock { generations in
            var forgotten: [Key: TokenBucket] = [:]
            if generations.young[key] == nil {
                if generations.young.count >= max(1, capacity / 2) {
                    swap(&forgotten, &generations.old)
                    swap(&generations.old, &generations.young)
                }
                let known = forgotten[key] ?? generations.old.removeValue(forKey: key)
                generations.young[key] = known ?? TokenBucket(capacity: size, now: now)
            }
            return (generations.young[key]?.take(capacity: size, period: rate.period, now: now), forgotten)
        }
        // Given back outside the lock.
        _ = consume forgotten
        return wait
    }
}
