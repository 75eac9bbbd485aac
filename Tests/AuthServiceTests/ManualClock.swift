import AuthService
import Synchronization

/// A clock that stands still until a test moves it.
final class ManualClock: AuthClock {
    private struct State {
        var now = Timestamp(microseconds: 1_800_000_000_000_000)
        var nextSleeper = 0
        var sleepers: [Int: (until: Timestamp, continuation: CheckedContinuation<Void, Never>)] = [:]
        var arrivals: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var now: Timestamp { state.withLock { $0.now } }

    func advance(by duration: Duration) {
        let awake = state.withLock { state in
            state.now = state.now + duration
            let due = state.sleepers.filter { $0.value.until <= state.now }
            for key in due.keys { state.sleepers.removeValue(forKey: key) }
            return due.values.map(\.continuation)
        }
        for continuation in awake { continuation.resume() }
    }

    func sleep(for duration: Duration) async throws {
        let sleeper = state.withLock { state in
            state.nextSleeper += 1
            return state.nextSleeper
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isOver, arrivals) = state.withLock { state in
                    if Task.isCancelled || duration <= .zero { return (true, [CheckedContinuation<Void, Never>]()) }
                    state.sleepers[sleeper] = (state.now + duration, continuation)
                    defer { state.arrivals = [] }
                    return (false, state.arrivals)
                }
                if isOver { continuation.resume() }
                for arrival in arrivals { arrival.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: sleeper) }?.continuation.resume()
        }
        try Task.checkCancellation()
    }

    /// Returns once somebody sleeps.
    func waitForSleeper() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.sleepers.isEmpty { state.arrivals.append(continuation) }
                return !state.sleepers.isEmpty
            }
            if isThere { continuation.resume() }
        }
    }
}
