import NIOCore
import RPCCore
import Synchronization
import WireCore

/// What an attempt's end says of the peer that it went to.
enum PeerVerdict {
    /// It answers.
    case well
    /// It answers as one that is ill, or not at all.
    case ill
    /// Nothing: the call ended for reasons of its own.
    case unknown
}

// What becomes of calls when an attempt ends, and what it says of the peer; the decisions are values'.
extension ClientPool {
    /// An attempt ended well.
    func succeeded(_ peer: PeerID) {
        guard !isCalm.load(ordering: .relaxed) else { return }
        change { state in
            state.retry.succeeded()
            state.observe(peer, isWell: true, now: .now)
        }
    }

    /// An attempt failed: the call is sent again, or ends with that error.
    func failed(_ call: PendingCall, _ failure: FailedAttempt, _ error: RPCError, at peer: PeerID, _ verdict: PeerVerdict) {
        guard failure.isPassing || verdict == .ill else {
            if verdict == .well { succeeded(peer) }
            return _ = call.end(.failure(error))
        }
        var attempts = call.attempts
        let next = change { state in
            if verdict != .unknown { state.observe(peer, isWell: verdict == .well, now: .now) }
            return state.judge(failure, &attempts, of: call)
        }
        guard case .again(let pause) = next, call.reopen(attempts) else { return _ = call.end(.failure(error)) }
        resubmit(call, after: pause, avoiding: peer)
    }

    /// A connection with calls under way was lost.
    func lost(_ peer: PeerID) { change { $0.observe(peer, isWell: false, now: .now) } }

    /// Takes a token for an attempt that nothing has failed for.
    func spend() -> Bool { change { $0.retry.spend() } }

    private func change<Value>(_ body: (inout ClientPoolState) -> Value) -> Value {
        state.withLock { state in
            defer { isCalm.store(state.isCalm, ordering: .relaxed) }
            return body(&state)
        }
    }

    private func resubmit(_ call: PendingCall, after pause: Duration, avoiding peer: PeerID) {
        guard pause > .zero else { return submit(call, avoiding: peer) }
        let delay = WireDuration(pause).nanoseconds
        call.guarded(
            by: loops[0].scheduleTask(in: .nanoseconds(Int64(clamping: delay))) { [self] in
                submit(call, avoiding: peer)
            })
    }
}

extension ClientPoolState {
    fileprivate mutating func judge(
        _ failure: FailedAttempt, _ attempts: inout Attempts, of call: PendingCall
    ) -> RetryPolicy.Verdict {
        var random = SystemRandomNumberGenerator()
        let verdict = retry.judge(
            failure, &attempts, isIdempotent: call.method.idempotency != .unknown, remaining: call.deadline.remaining(),
            using: &random)
        // One that came to the wrong place has not been tried yet: that holds for a part of a hedged call as well.
        let isFree = failure.missed && verdict == .again(after: .zero) && call.options.repeats
        return call.repeats || isFree ? verdict : .giveUp
    }
}

extension MethodDescriptor {
    /// Twice is as good as once, and nobody has seen a part of the answer.
    var mayBeHedged: Bool { kind == .unary && idempotency == .noSideEffects }
}
