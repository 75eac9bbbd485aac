import Synchronization

/// A body that waits for a database thread.
protocol Work: AnyObject, Sendable {
    var deadline: ContinuousClock.Instant? { get }
    /// Its caller has an answer already.
    var isSettled: Bool { get }
    /// From now on a cancellation of the caller wakes this. The result says whether there was one.
    func cancelled(waking wakeup: Wakeup) -> () -> Bool
    /// A later cancellation wakes nobody.
    func uninterrupted()
    /// Takes it off the queue for good; true again when it is taken already. False when it was cancelled, expired or
    /// answered before.
    func claim() -> Bool
    /// Runs the body and keeps its result until `succeed`; may be called again after a rollback.
    func run(_ session: any Session) throws
    /// Answers with the result of the last run.
    func succeed()
    func fail(_ error: any Error)
}

/// One caller's body, result and continuation. Answers exactly once.
final class PendingWork<T: Sendable>: Work {
    private enum Phase {
        case created
        /// Answered before it was queued.
        case abandoned(any Error)
        case queued(CheckedContinuation<T, any Error>)
        case running(CheckedContinuation<T, any Error>, T?)
        case settled
    }

    let deadline: ContinuousClock.Instant?
    private let body: @Sendable (any Session) throws -> T
    private let phase = Mutex<Phase>(.created)
    private let interrupt = Mutex(Interrupt())

    /// A cancellation that came after the work was claimed.
    private struct Interrupt {
        var isCancelled = false
        var wakeup: Wakeup?
    }

    init(deadline: ContinuousClock.Instant?, body: @escaping @Sendable (any Session) throws -> T) {
        self.deadline = deadline
        self.body = body
    }

    /// Enqueues and waits. Leaves the queue at once when the task is cancelled or the deadline passes.
    ///
    /// - Parameters:
    ///   - waitLimit: nil waits as long as the deadline lets it.
    ///   - offer: puts the work where threads take it from, or says why not.
    func result(waitLimit: Duration? = nil, _ offer: @Sendable (PendingWork<T>) -> SQLError?) async throws -> T {
        let limit = lastStart(waitLimit).map { (instant, error) in
            StartLimits.shared.add(instant) { [weak self] in self?.abandon(error) }
        }
        defer { if let limit { StartLimits.shared.remove(limit) } }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if let error = enter(continuation) { return continuation.resume(throwing: error) }
                if let refusal = offer(self) { abandon(refusal) }
            }
        } onCancel: {
            abandon(CancellationError())
            let wakeup = interrupt.withLock { state in
                state.isCancelled = true
                return state.wakeup
            }
            wakeup?.wake()
        }
    }

    /// Until when the work may wait for a thread, and what is said then.
    private func lastStart(_ waitLimit: Duration?) -> (ContinuousClock.Instant, SQLError)? {
        let limit = waitLimit.map { ContinuousClock.now + $0 }
        if let deadline, limit.map({ deadline <= $0 }) ?? true { return (deadline, SQLError.deadlinePassed) }
        return limit.map { ($0, SQLError(.refused, "no connection to the database became free in time")) }
    }

    func cancelled(waking wakeup: Wakeup) -> () -> Bool {
        interrupt.withLock { $0.wakeup = wakeup }
        return { [self] in interrupt.withLock { $0.isCancelled } }
    }

    func uninterrupted() { interrupt.withLock { $0.wakeup = nil } }

    var isSettled: Bool {
        phase.withLock {
            switch $0 {
            case .settled, .abandoned: true
            case .created, .queued, .running: false
            }
        }
    }

    func claim() -> Bool {
        if let deadline, deadline <= .now { abandon(SQLError.deadlinePassed) }
        return phase.withLock {
            switch $0 {
            case .queued(let continuation):
                $0 = .running(continuation, nil)
                return true
            case .running: return true
            case .created, .abandoned, .settled: return false
            }
        }
    }

    func run(_ session: any Session) throws {
        let value = try body(session)
        phase.withLock {
            if case .running(let continuation, _) = $0 { $0 = .running(continuation, value) }
        }
    }

    func succeed() {
        let settled: (CheckedContinuation<T, any Error>, T)? = phase.withLock {
            guard case .running(let continuation, let value?) = $0 else { return nil }
            $0 = .settled
            return (continuation, value)
        }
        if let (continuation, value) = settled { continuation.resume(returning: value) }
    }

    func fail(_ error: any Error) {
        let continuation: CheckedContinuation<T, any Error>? = phase.withLock {
            guard case .running(let continuation, _) = $0 else { return nil }
            $0 = .settled
            return continuation
        }
        continuation?.resume(throwing: error)
    }

    /// - Returns: What it was abandoned with meanwhile.
    private func enter(_ continuation: CheckedContinuation<T, any Error>) -> (any Error)? {
        phase.withLock {
            if case .abandoned(let error) = $0 { return error }
            $0 = .queued(continuation)
            return nil
        }
    }

    /// Answers work that has not been claimed; what runs is left to finish.
    private func abandon(_ error: any Error) {
        let continuation: CheckedContinuation<T, any Error>? = phase.withLock {
            switch $0 {
            case .queued(let continuation):
                $0 = .settled
                return continuation
            case .created:
                $0 = .abandoned(error)
                return nil
            case .running, .abandoned, .settled:
                return nil
            }
        }
        continuation?.resume(throwing: error)
    }
}
