import NIOCore
import RPCCore
import RPCTransport
import Synchronization
import WireCore

/// A call that is sent a second time when the first has had no answer for a while: drives `HedgeMachine`.
final class HedgedCall: Sendable {
    private struct State {
        var machine: HedgeMachine
        var legs: [PendingCall] = []
        var answers: [PendingCall.Answer?] = []
        var timer: Scheduled<Void>?
    }

    /// Two at once are most of the gain.
    private static let attempts = 2

    private let pool: ClientPool
    private let delay: Duration
    private let state = Mutex(State(machine: HedgeMachine(attempts: attempts)))
    /// What the application waits for: never sent itself.
    private let whole: PendingCall

    init(
        _ pool: ClientPool, _ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions,
        _ deadline: Deadline, delay: Duration
    ) {
        self.pool = pool
        self.delay = delay
        var options = options
        // Both attempts are one request in every log.
        options.requestID = options.requestID ?? RequestID.make()
        whole = PendingCall(method, request, options, deadline: deadline, now: .now)
    }

    func answer() async -> PendingCall.Answer {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if whole.wait(with: continuation) { perform(state.withLock { $0.machine.begin() }) }
            }
        } onCancel: {
            whole.end(.failure(.cancelled(whole.method, processed: .maybe)))
            perform(state.withLock { $0.machine.cancelled() })
        }
    }

    private func perform(_ actions: [HedgeMachine.Action]) {
        for action in actions {
            switch action {
            case .start(let leg): start(leg)
            case .arm: arm()
            case .finish(let leg): finish(leg)
            case .cancel(let leg): cancel(leg)
            }
        }
        forgetIfFinished()
    }

    private func cancel(_ leg: Int) {
        let call = state.withLock { $0.legs.indices.contains(leg) ? $0.legs[leg] : nil }
        if let call { pool.cancel(call) }
    }

    /// Attempts hold this, and this holds them: until all is decided.
    private func forgetIfFinished() {
        let (timer, left) = state.withLock { state -> (Scheduled<Void>?, [PendingCall]) in
            guard state.machine.isFinished else { return (nil, []) }
            defer { (state.legs, state.timer) = ([], nil) }
            return (state.timer, state.legs)
        }
        timer?.cancel()
        // One that began while all was being decided.
        for call in left { pool.cancel(call) }
    }

    private func start(_ leg: Int) {
        var options = whole.options
        // The whole call tells of its end.
        options.onEnd = nil
        let call = PendingCall(
            whole.method, whole.request, options, deadline: whole.deadline, now: .now, attempt: leg + 1
        ) { [self] answer in ended(leg, answer) }
        let (isWanted, first) = state.withLock { state -> (Bool, PendingCall?) in
            guard !state.machine.isFinished else { return (false, nil) }
            state.legs.append(call)
            state.answers.append(nil)
            return (true, leg > 0 ? state.legs[0] : nil)
        }
        if isWanted { pool.submit(call, avoiding: first?.peer) }
    }

    private func arm() {
        let nanoseconds = WireDuration(delay).nanoseconds
        let timer = pool.loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: nanoseconds))) { [self] in
            perform(state.withLock { $0.machine.timeIsUp(pool.spend) })
        }
        state.withLock { $0.timer = timer }
        if whole.isEnded { timer.cancel() }
    }

    private func ended(_ leg: Int, _ answer: PendingCall.Answer) {
        let actions = state.withLock { state in
            state.answers[leg] = answer
            switch answer {
            case .success: return state.machine.succeeded(leg)
            case .failure(let error):
                return state.machine.failed(
                    leg, mayPass: error.mayPass, mayFollow: error.retryAfter == nil, pool.spend)
            }
        }
        perform(actions)
    }

    private func finish(_ leg: Int) {
        if let answer = state.withLock({ $0.answers[leg] }) { whole.end(answer) }
    }
}

extension RPCError {
    /// Another attempt could end otherwise.
    fileprivate var mayPass: Bool { FailedAttempt(code, processed, retryAfter: retryAfter).isPassing }
}
