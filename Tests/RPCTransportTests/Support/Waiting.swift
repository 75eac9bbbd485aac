import Dispatch
import RPCCore
import RPCTransport
import Synchronization

/// One value, given once, for whoever waits.
final class Promised<Value: Sendable>: Sendable {
    private let latch = Latch()
    private let stored = Mutex<Value?>(nil)

    func fulfill(_ value: Value) {
        stored.withLock { $0 = $0 ?? value }
        latch.open()
    }

    var isFulfilled: Bool { latch.isOpen }

    var value: Value {
        get async throws {
            await latch.wait()
            guard let value = stored.withLock({ $0 }) else { throw CancellationError() }
            return value
        }
    }
}

/// Lets a number of parties wait until all of them have come, then lets them go in an order of the test's choice.
final class Rendezvous: Sendable {
    private struct State {
        var waiting: [CheckedContinuation<Void, Never>] = []
        var left: Int
    }

    private let state: Mutex<State>
    private let order: @Sendable (Int) -> [Int]

    init(_ parties: Int, order: @escaping @Sendable (Int) -> [Int]) {
        state = Mutex(State(left: parties))
        self.order = order
    }

    func meet() async {
        await withCheckedContinuation { continuation in
            let all = state.withLock { state -> [CheckedContinuation<Void, Never>] in
                state.waiting.append(continuation)
                state.left -= 1
                // Whoever comes when all have met need not wait.
                guard state.left <= 0 else { return [] }
                defer { state.waiting = [] }
                return state.waiting
            }
            guard !all.isEmpty else { return }
            for index in order(all.count) { all[index].resume() }
        }
    }
}

/// Holds threads, not tasks: for SYNC handlers on the CPU pool.
final class ThreadGate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func wait() { semaphore.wait() }

    func open(_ times: Int = 1) {
        for _ in 0..<times { semaphore.signal() }
    }
}

/// A handler that waits until its task is cancelled, and says so.
func untilCancelled(_ cancelled: Latch) async throws {
    await withTaskCancellationHandler {
        await cancelled.wait()
    } onCancel: {
        cancelled.open()
    }
    try Task.checkCancellation()
}

/// What a server told its observer.
final class RecordingObserver: ServerObserver {
    struct Seen {
        var started: [CallContext] = []
        var ended: [CallRecord] = []
        var refused: [CallRefusal] = []
        var opened: [PeerIdentity] = []
        var closed: [(peer: PeerIdentity?, reason: String)] = []
    }

    private let seen = Mutex(Seen())
    private let onClosed: @Sendable (PeerIdentity?, String) -> Void

    init(onClosed: @escaping @Sendable (PeerIdentity?, String) -> Void = { _, _ in }) { self.onClosed = onClosed }

    var all: Seen { seen.withLock { $0 } }

    func callStarted(_ context: CallContext) { seen.withLock { $0.started.append(context) } }
    func callEnded(_ record: CallRecord) { seen.withLock { $0.ended.append(record) } }
    func callRefused(_ refusal: CallRefusal) { seen.withLock { $0.refused.append(refusal) } }
    func connectionOpened(peer: PeerIdentity) { seen.withLock { $0.opened.append(peer) } }
    func connectionClosed(peer: PeerIdentity?, reason: String) {
        seen.withLock { $0.closed.append((peer, reason)) }
        onClosed(peer, reason)
    }
}
