import Synchronization

/// Waits for something at most so long, and then leaves it alone.
///
/// What is under test may never answer, never read, never end. A task group would wait for it all the same: it ends when its last
/// child does. So this waits for a task that goes on without anybody, should it come to that.
///
/// - Parameters:
///   - failure: What is thrown when the time is over.
/// - Throws: also what `work` throws.
func within<Value: Sendable>(
    _ limit: Duration, orFail failure: @escaping @autoclosure @Sendable () -> StepFailure,
    _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let first = FirstOf<Value>()
    let working = Task {
        do { first.settle(.success(try await work())) } catch { first.settle(.failure(error)) }
    }
    let timer = Task {
        guard (try? await Task.sleep(for: limit)) != nil else { return }
        first.settle(.failure(failure()))
        working.cancel()
    }
    defer { timer.cancel() }
    return try await withTaskCancellationHandler {
        try await first.value().get()
    } onCancel: {
        working.cancel()
    }
}

/// The first of several results; the others are nobody's.
private final class FirstOf<Value: Sendable>: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<Result<Value, any Error>, Never>)
        case settled(Result<Value, any Error>)
    }

    private let state = Mutex(State.open)

    func settle(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state -> CheckedContinuation<Result<Value, any Error>, Never>? in
            switch state {
            case .open:
                state = .settled(result)
                return nil
            case .waiting(let continuation):
                state = .settled(result)
                return continuation
            case .settled: return nil
            }
        }
        waiting?.resume(returning: result)
    }

    /// Once.
    func value() async -> Result<Value, any Error> {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Result<Value, any Error>? in
                if case .settled(let result) = state { return result }
                state = .waiting(continuation)
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
