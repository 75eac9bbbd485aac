import RPCClient
import RPCCore
import TestSupport
import Testing

@Suite struct RetryPolicyTests {
    private func policy(_ change: (inout RetryOptions) -> Void = { _ in }) -> RetryPolicy {
        var options = RetryOptions()
        change(&options)
        return RetryPolicy(options)
    }

    /// Whether another attempt follows the first.
    private func isRepeated(_ failure: FailedAttempt, isIdempotent: Bool) -> Bool {
        var (policy, attempts, random) = (policy(), Attempts(), SeededRandom(seed: 1))
        let verdict = policy.judge(
            failure, &attempts, isIdempotent: isIdempotent, remaining: .seconds(10), using: &random)
        #expect(attempts.number == (verdict == .giveUp ? 1 : 2))
        return verdict != .giveUp
    }

    @Test(
        "What follows an attempt",
        arguments: [
            // code, processed, retry_after, idempotent, else
            (.unavailable, .no, nil, true, true), (.unavailable, .maybe, nil, true, false),
            (.unavailable, .yes, nil, true, false), (.unavailable, .maybe, 5, true, false),
            (.resourceExhausted, .no, 5, true, true), (.resourceExhausted, .no, nil, false, false),
            (.resourceExhausted, .yes, 5, false, false), (.resourceExhausted, .maybe, 5, false, false),
            (.deadlineExceeded, .no, 5, false, false), (.deadlineExceeded, .maybe, nil, false, false),
            (.internal, .yes, nil, false, false), (.internal, .no, 5, false, false), (.aborted, .yes, 5, false, false),
            (.cancelled, .no, nil, false, false), (.unknown, .maybe, nil, false, false),
            (.notFound, .yes, nil, false, false), (.permissionDenied, .no, nil, false, false),
            (.invalidArgument, .no, nil, false, false), (.unauthenticated, .no, 5, false, false),
            (.alreadyExists, .yes, nil, false, false), (.failedPrecondition, .yes, nil, false, false),
            (.outOfRange, .yes, nil, false, false), (.unimplemented, .no, nil, false, false),
            (.dataLoss, .yes, nil, false, false),
        ] as [(StatusCode, Processed, Int?, Bool, Bool)])
    func table(code: StatusCode, processed: Processed, after: Int?, idempotent: Bool, otherwise: Bool) {
        let failure = FailedAttempt(code, processed, retryAfter: after.map { .milliseconds($0) })
        #expect(isRepeated(failure, isIdempotent: true) == idempotent)
        #expect(isRepeated(failure, isIdempotent: false) == otherwise)
    }

    @Test("A call that came to the wrong place goes on at once, free, and not for ever")
    func missed() {
        var (policy, attempts, random) = (policy(), Attempts(), SeededRandom(seed: 2))
        let failure = FailedAttempt(.unavailable, .no, missed: true)
        for number in 1...Attempts.mostMisses {
            let verdict = policy.judge(failure, &attempts, isIdempotent: false, remaining: .seconds(9), using: &random)
            #expect(verdict == .again(after: .zero))
            #expect(policy.budget.isFull)
            #expect(attempts.number == number + 1)
        }
        let next = policy.judge(failure, &attempts, isIdempotent: false, remaining: .seconds(9), using: &random)
        #expect(next != .again(after: .zero) && next != .giveUp)
        #expect(!policy.budget.isFull)
    }

    @Test("That an attempt may have run is remembered by those that follow it")
    func mayHaveRun() {
        var (policy, attempts, random) = (policy(), Attempts(), SeededRandom(seed: 2))
        for (processed, remembered) in [(Processed.no, false), (.maybe, true), (.no, true)] {
            let failure = FailedAttempt(.unavailable, processed)
            _ = policy.judge(failure, &attempts, isIdempotent: true, remaining: .seconds(9), using: &random)
            #expect(attempts.mayHaveRun == remembered)
        }
    }

    @Test("What may have run has not come to the wrong place, whatever the connection")
    func notMissed() {
        #expect(!FailedAttempt(.unavailable, .maybe, missed: true).missed)
    }

    @Test("A call has so many attempts, beside those that came to the wrong place")
    func attempts() {
        var (policy, random) = (policy { $0.attempts = 4 }, SeededRandom(seed: 3))
        for misses in [false, true] {
            var attempts = Attempts()
            var failure = FailedAttempt(.unavailable, .no, missed: misses)
            var sent = 1
            while policy.judge(failure, &attempts, isIdempotent: true, remaining: .seconds(60), using: &random) != .giveUp {
                sent += 1
                failure.missed = false
                #expect(attempts.number == sent)
            }
            #expect(sent == (misses ? 5 : 4))
        }
    }

    @Test("Switched off, nothing is sent again")
    func none() {
        var (policy, attempts, random) = (RetryPolicy(.none), Attempts(), SeededRandom(seed: 4))
        for failure in [FailedAttempt(.unavailable, .no), FailedAttempt(.unavailable, .no, missed: true)] {
            let verdict = policy.judge(failure, &attempts, isIdempotent: true, remaining: .seconds(9), using: &random)
            #expect(verdict == .giveUp)
        }
    }

    @Test("Pauses grow, with jitter, and the server's word makes them longer, never shorter")
    func pauses() {
        var random = SeededRandom()
        print("seed \(random.seed)")
        let pauses = Backoff(base: .milliseconds(100), maximum: .seconds(5), minimum: .milliseconds(50))
        var policy = policy { ($0.pauses, $0.attempts, $0.tokens) = (pauses, 100, 10_000) }
        var attempts = Attempts()
        for ceiling in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = pause(&policy, &attempts, nil, &random)
            #expect(pause >= .milliseconds(50) && pause <= .milliseconds(ceiling))
        }
        for asked in [Duration.seconds(7), .milliseconds(5500)] {
            let pause = pause(&policy, &attempts, asked, &random)
            #expect(pause >= asked && pause <= asked * 1.2)
        }
        attempts = Attempts()
        #expect(pause(&policy, &attempts, .milliseconds(1), &random) >= .milliseconds(50))
    }

    private func pause(
        _ policy: inout RetryPolicy, _ attempts: inout Attempts, _ asked: Duration?, _ random: inout SeededRandom
    ) -> Duration {
        let failure = FailedAttempt(.unavailable, .no, retryAfter: asked)
        let verdict = policy.judge(failure, &attempts, isIdempotent: true, remaining: .seconds(60), using: &random)
        guard case .again(let pause) = verdict else { return .zero }
        return pause
    }

    @Test("Nothing is tried that could not begin before the deadline")
    func deadline() {
        var (policy, attempts, random) = (policy(), Attempts(), SeededRandom(seed: 5))
        let busy = FailedAttempt(.resourceExhausted, .no, retryAfter: .seconds(3))
        let late = policy.judge(busy, &attempts, isIdempotent: true, remaining: .seconds(3), using: &random)
        #expect(late == .giveUp)
        let over = policy.judge(
            FailedAttempt(.unavailable, .no, missed: true), &attempts, isIdempotent: true, remaining: .zero, using: &random)
        #expect(over == .giveUp)
        let early = policy.judge(busy, &attempts, isIdempotent: true, remaining: .seconds(4), using: &random)
        #expect(early != .giveUp)
    }

    @Test("Half of the bucket may be spent; successes fill it slowly")
    func budget() {
        var budget = RetryBudget(capacity: 10, ratio: 0.1)
        var spent = 0
        while budget.allows {
            budget.failed()
            spent += 1
        }
        #expect(spent == 5)
        let none = budget.spend()
        #expect(!none)
        for _ in 0..<10 { budget.succeeded() }
        #expect(budget.allows)
        let one = budget.spend()
        #expect(one && !budget.allows)
        for _ in 0..<1000 { budget.succeeded() }
        #expect(budget.isFull && budget.tokens == 10)
        for _ in 0..<100 { budget.failed() }
        #expect(budget.tokens == 0)
    }

    @Test("A method that is not repeated takes tokens all the same: the service is ill for everybody")
    func unrepeatedFailuresCount() {
        var (policy, random) = (policy { $0.tokens = 10 }, SeededRandom(seed: 6))
        for _ in 0..<5 {
            var attempts = Attempts()
            _ = policy.judge(
                FailedAttempt(.unavailable, .maybe), &attempts, isIdempotent: false, remaining: .seconds(9), using: &random)
        }
        #expect(!policy.budget.allows)
    }

    @Test("Three services in a row, of which the last always fails, see each call hardly more than once")
    func amplification() {
        var random = SeededRandom()
        print("seed \(random.seed)")
        for processed in [Processed.no, .yes] {
            var hops = [policy(), policy(), policy()]
            var calls = 0
            for _ in 0..<2000 { Self.call(0, &hops, processed, &calls, &random) }
            #expect(calls >= 2000 && Double(calls) / 2000 <= 1.1, "\(calls) calls")
        }
    }

    /// The call to the service of that index, which calls the next.
    private static func call(
        _ hop: Int, _ hops: inout [RetryPolicy], _ leaf: Processed, _ calls: inout Int, _ random: inout SeededRandom
    ) {
        var attempts = Attempts()
        var verdict = RetryPolicy.Verdict.again(after: .zero)
        while verdict != .giveUp {
            let isLeaf = hop == hops.count - 1
            if isLeaf { calls += 1 } else { call(hop + 1, &hops, leaf, &calls, &random) }
            // A service between fails because the one behind it did: its own handler ran.
            verdict = hops[hop].judge(
                FailedAttempt(.unavailable, isLeaf ? leaf : .yes), &attempts, isIdempotent: true, remaining: .seconds(60),
                using: &random)
        }
    }
}
