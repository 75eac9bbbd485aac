import RPCCore
import Synchronization

/// One call under way: the handler's task, the deadline's, and whichever ends the call first.
final class InProcessRun: Sendable {
    typealias Answer = Result<[UInt8], RPCError>

    private struct State {
        var continuation: CheckedContinuation<Answer, Never>?
        var answer: Answer?
        var handler: Task<Void, Never>?
        var timer: Task<Void, Never>?
    }

    private let call: AdmittedCall
    private let gate: CallGate
    private let remaining: Duration
    private let state = Mutex(State())

    init(_ call: AdmittedCall, gate: CallGate, remaining: Duration) {
        self.call = call
        self.gate = gate
        self.remaining = remaining
    }

    /// What the handler is given.
    enum Input: Sendable {
        case unary
        case stream(StreamParts)
    }

    func answer(to request: [UInt8], _ input: Input) async throws(RPCError) -> [UInt8] {
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if wait(with: continuation) { start(request, input) }
            }
        } onCancel: {
            abandon(.cancelled(call.context.method, processed: .maybe))
        }
        return try answer.get()
    }

    /// Takes the continuation; false when the call was cancelled before it began.
    private func wait(with continuation: CheckedContinuation<Answer, Never>) -> Bool {
        let answer = state.withLock { state in
            if state.answer == nil { state.continuation = continuation }
            return state.answer
        }
        guard let answer else { return true }
        gate.leave(call)
        continuation.resume(returning: answer)
        return false
    }

    private func start(_ request: [UInt8], _ input: Input) {
        let handler = Task { [self] in
            let answer = await run(request, input)
            gate.leave(call)
            end(answer)
        }
        let timer = Task { [self] in
            guard (try? await Task.sleep(for: remaining)) != nil else { return }
            abandon(.deadlineExceeded(call.context.method, processed: .maybe))
        }
        keep(handler, timer)
    }

    private func run(_ request: [UInt8], _ input: Input) async -> Answer {
        do {
            switch call.entry.method {
            case .sync(let method): return .success(try method.run(request.span.bytes, call.context))
            case .async(let method):
                return .success(
                    try await HandlerScope.run(call.context) {
                        if case .stream(let parts) = input, let stream = method.stream {
                            return try await stream(parts, self.call.context)
                        }
                        return try await method.run(request, self.call.context)
                    })
            }
        } catch {
            return .failure(.outcome(of: error, in: call.context))
        }
    }

    /// Ends the call for its caller now, and asks the handler to stop where the contract wants that.
    private func abandon(_ error: RPCError) {
        end(.failure(error))
        guard call.context.method.onCancel == .cancel else { return }
        call.context.cancellation.cancel()
        state.withLock { $0.handler }?.cancel()
    }

    private func end(_ answer: Answer) {
        let ended = state.withLock { state -> State? in
            guard state.answer == nil else { return nil }
            state.answer = answer
            defer { state.continuation = nil }
            return state
        }
        ended?.timer?.cancel()
        ended?.continuation?.resume(returning: answer)
    }

    /// Remembers the tasks; a call that ended meanwhile needs its timer no more, nor its handler if it was cancelled.
    private func keep(_ handler: Task<Void, Never>, _ timer: Task<Void, Never>) {
        let ended = state.withLock { state in
            state.handler = handler
            state.timer = timer
            return state.answer != nil
        }
        guard ended else { return }
        timer.cancel()
        if call.context.cancellation.isCancelled { handler.cancel() }
    }
}
