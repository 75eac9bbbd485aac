private import Dispatch
private import Synchronization

/// A bounded queue between tasks, which never wait in it, and the database's threads, which do.
///
/// A thread that finds nothing counts itself among the sleepers before it lies down, and whoever brings work wakes one of them:
/// a wake-up that comes first is kept. Conditions of glibc before 2.41 lose some where several threads wait (its bug 25847).
final class WorkQueue: Sendable {
    private struct State {
        var waiting: [any Work] = []
        var sleepers = 0
        var isClosed = false
    }

    private let limit: Int
    private let state = Mutex(State())
    private let wakeUps = DispatchSemaphore(value: 0)

    init(limit: Int) { self.limit = limit }

    /// Work that waits.
    var count: Int { state.withLock { $0.waiting.count } }

    /// Adds work, or says why not.
    func offer(_ work: any Work) -> SQLError? {
        let (refusal, wakes) = state.withLock { state -> (SQLError?, Bool) in
            if state.isClosed { return (.closed, false) }
            if state.waiting.count >= limit { state.waiting.removeAll(where: \.isSettled) }
            if state.waiting.count >= limit {
                return (SQLError(.refused, "the database queue is full (\(limit) waiting)"), false)
            }
            state.waiting.append(work)
            guard state.sleepers > 0 else { return (nil, false) }
            state.sleepers -= 1
            return (nil, true)
        }
        if wakes { wakeUps.signal() }
        return refusal
    }

    /// Waits for work and takes up to `count` pieces; nil when closed and empty.
    func take(upTo count: Int) -> [any Work]? {
        while true {
            let (batch, isOver) = state.withLock { state -> ([any Work], Bool) in
                let batch = Array(state.waiting.prefix(count))
                state.waiting.removeFirst(batch.count)
                if batch.isEmpty, !state.isClosed { state.sleepers += 1 }
                return (batch, batch.isEmpty && state.isClosed)
            }
            if isOver { return nil }
            if !batch.isEmpty { return batch }
            wakeUps.wait()
        }
    }

    /// Refuses new work; what waits is still taken.
    func close() {
        let sleepers = state.withLock { state in
            state.isClosed = true
            defer { state.sleepers = 0 }
            return state.sleepers
        }
        for _ in 0..<sleepers { wakeUps.signal() }
    }
}
