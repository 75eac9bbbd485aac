internal import Dispatch
internal import HeapModule
import Synchronization

/// Until when works may wait to begin: one timer for all of them, set once for however many begin in time. A task and a timer for
/// each would take longer than most bodies do, and wake threads that have nothing to do.
final class StartLimits: Sendable {
    static let shared = StartLimits()

    private let waiting = Mutex(WaitingStarts())

    /// Calls `expire` at the instant, on any thread, unless it is removed before.
    func add(_ instant: ContinuousClock.Instant, _ expire: @escaping @Sendable () -> Void) -> WaitingStarts.ID {
        let (id, isNext) = waiting.withLock { $0.add(instant, expire) }
        if isNext { wake(at: instant) }
        return id
    }

    func remove(_ id: WaitingStarts.ID) { waiting.withLock { $0.remove(id) } }

    /// A wake cannot be taken back: one for nothing, because another was set for earlier, finds nothing to do.
    private func wake(at instant: ContinuousClock.Instant) {
        let (seconds, attoseconds) = ContinuousClock.now.duration(to: instant).components
        let wait = Double(seconds) + Double(attoseconds) / 1e18
        DispatchQueue.global().asyncAfter(deadline: .now() + max(wait, 0)) { [self] in
            let (expired, next) = waiting.withLock { $0.look(for: instant, now: .now) }
            for expire in expired { expire() }
            if let next { wake(at: next) }
        }
    }
}

/// The same as a value, without a timer.
struct WaitingStarts {
    struct ID: Hashable, Sendable { fileprivate let number: UInt64 }

    private struct Entry: Comparable {
        let instant: ContinuousClock.Instant
        let id: ID

        static func < (left: Entry, right: Entry) -> Bool { left.instant < right.instant }
    }

    private var works: [ID: (instant: ContinuousClock.Instant, expire: @Sendable () -> Void)] = [:]
    /// May have some that were removed.
    private var order = Heap<Entry>()
    /// When somebody looks next; nil: nobody will.
    private var next: ContinuousClock.Instant?
    private var last: UInt64 = 0

    var count: Int { works.count }
    /// Entries in memory.
    var kept: Int { order.count }

    /// - Returns: Whether somebody has to look at that instant, because nobody would before.
    mutating func add(_ instant: ContinuousClock.Instant, _ expire: @escaping @Sendable () -> Void) -> (ID, isNext: Bool) {
        last += 1
        let id = ID(number: last)
        works[id] = (instant, expire)
        order.insert(Entry(instant: instant, id: id))
        let isNext = next.map { instant < $0 } ?? true
        if isNext { next = instant }
        return (id, isNext)
    }

    mutating func remove(_ id: ID) {
        works[id] = nil
        // Most begin long before their time is over: what is left of them is not kept until then.
        guard order.count > 64, order.count > 4 * works.count else { return }
        order = Heap(works.map { Entry(instant: $1.instant, id: $0) })
    }

    /// Somebody looks, as `add` or an earlier look has told them to: whose time is over, the first of them first, and when to look
    /// again.
    ///
    /// - Parameter instant: Which one they were told. One that is not the next any more needs no look after it.
    mutating func look(
        for instant: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> (expired: [@Sendable () -> Void], next: ContinuousClock.Instant?) {
        var expired: [@Sendable () -> Void] = []
        while let first = order.min, first.instant <= now || works[first.id] == nil {
            order.removeMin()
            if let work = works.removeValue(forKey: first.id) { expired.append(work.expire) }
        }
        guard next == instant else { return (expired, nil) }
        next = order.min?.instant
        return (expired, next)
    }
}
