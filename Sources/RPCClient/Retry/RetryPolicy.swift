package import RPCCore

/// What an attempt that failed came to, as far as another one is concerned.
package struct FailedAttempt: Sendable, Hashable {
    package var code: StatusCode
    package var processed: Processed
    /// The server's own word on when.
    package var retryAfter: Duration?
    /// The connection was on its way out: the service may be well, the call came to the wrong place, and did not run.
    package var missed: Bool

    package init(_ code: StatusCode, _ processed: Processed, retryAfter: Duration? = nil, missed: Bool = false) {
        self.code = code
        self.processed = processed
        self.retryAfter = retryAfter
        self.missed = missed && processed == .no
    }

    /// Another attempt could end otherwise. A busy service (RESOURCE_EXHAUSTED) is asked again only when it has said
    /// when.
    var isPassing: Bool {
        switch code {
        case .unavailable: true
        case .resourceExhausted: processed == .no && retryAfter != nil
        default: false
        }
    }
}

/// How often one call has been tried.
package struct Attempts: Sendable, Hashable {
    /// The one under way, from 1.
    package fileprivate(set) var number: Int
    /// How often it has come to the wrong place.
    package fileprivate(set) var misses = 0
    /// An earlier one may have run.
    package fileprivate(set) var mayHaveRun = false

    /// How often a call may come to the wrong place for nothing: the connections of a server that drains hear of it one
    /// after the other, and a call may meet each of them. No more, so that a server that does nothing but drain is not
    /// asked for ever.
    package static let mostMisses = 4

    package init(number: Int = 1) { self.number = number }
}

/// Which failed attempts are followed by another one, and when. Decisions as a value: time, chance and the call's own
/// count are passed in.
///
/// | attempt | contract says idempotent | contract does not |
/// |---|---|---|
/// | missed, up to `Attempts.mostMisses` times | at once, free | at once, free |
/// | UNAVAILABLE, not processed | after a pause | after a pause |
/// | UNAVAILABLE, maybe or surely processed | after a pause | never |
/// | RESOURCE_EXHAUSTED, not processed, `retry_after` | after that | after that |
/// | any other | never | never |
///
/// A pause needs a token, an attempt that is left, and an end before the call's deadline.
package struct RetryPolicy: Sendable {
    package enum Verdict: Sendable, Hashable {
        case giveUp
        case again(after: Duration)
    }

    package let options: RetryOptions
    package private(set) var budget: RetryBudget

    /// The server's pause is made longer by up to this share, so that those it sent away do not come back together.
    private static let pushbackJitter = 0.2

    package init(_ options: RetryOptions) {
        self.options = options
        budget = RetryBudget(capacity: options.tokens, ratio: options.ratio)
    }

    package mutating func succeeded() { budget.succeeded() }

    /// Takes a token for a hedge.
    package mutating func spend() -> Bool { budget.spend() }

    /// An attempt failed.
    ///
    /// - Parameters:
    ///   - isIdempotent: The contract says so.
    ///   - remaining: Until the call's deadline.
    package mutating func judge(
        _ failure: FailedAttempt, _ attempts: inout Attempts, isIdempotent: Bool, remaining: Duration,
        using random: inout some RandomNumberGenerator
    ) -> Verdict {
        guard failure.isPassing else { return .giveUp }
        if failure.missed, remaining > .zero, Attempts.mostMisses > attempts.misses, options.attempts > 1 {
            attempts.misses += 1
            attempts.number += 1
            return .again(after: .zero)
        }
        budget.failed()
        guard isIdempotent || failure.processed == .no, budget.allows, left(attempts) > 0 else { return .giveUp }
        let pause = pause(failure, attempts, using: &random)
        guard pause < remaining else { return .giveUp }
        attempts.number += 1
        if failure.processed != .no { attempts.mayHaveRun = true }
        return .again(after: pause)
    }

    /// Attempts that a call may still make; those that came to the wrong place do not count.
    private func left(_ attempts: Attempts) -> Int { options.attempts - attempts.number + attempts.misses }

    private func pause(
        _ failure: FailedAttempt, _ attempts: Attempts, using random: inout some RandomNumberGenerator
    ) -> Duration {
        let own = options.pauses.pause(after: attempts.number, using: &random)
        guard let asked = failure.retryAfter else { return own }
        return max(own, asked * (1 + Double.random(in: 0...Self.pushbackJitter, using: &random)))
    }
}
