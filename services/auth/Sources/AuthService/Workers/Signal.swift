import Synchronization

/// Wakes tasks that wait for news. A mark taken before looking tells whether news came since, so none is missed.
final class Signal: Sendable {
    typealias Mark = UInt64

    private struct State {
        var count: Mark = 0
        var nextWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    var mark: Mark { state.withLock { $0.count } }

    /// Wakes everybody who waits.
    func raise() {
        let waiters = state.withLock { state in
            state.count += 1
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the signal was raised after `mark`, when `limit` has passed, or when the task is cancelled.
    func wait(since mark: Mark, atMost limit: Duration, clock: any AuthClock) async {
        guard limit > .zero else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.raised(since: mark) }
            group.addTask { try? await clock.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    private func raised(since mark: Mark) async {
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    // A cancellation that came before is seen here; one that comes later finds the waiter.
                    let isOver = state.count != mark || Task.isCancelled
                    if !isOver { state.waiters[waiter] = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume()
        }
    }
}
