import RPCCore
import Testing

@Suite struct DeadlineTests {
    let now = MonotonicInstant.now

    @Test func countsDownToItsInstant() {
        let deadline = Deadline.after(.seconds(2), now: now)
        #expect(deadline.remaining(now: now) == .seconds(2))
        #expect(deadline.remaining(now: now.advanced(by: .seconds(3))) == .seconds(-1))
        #expect(!deadline.hasPassed(now: now.advanced(by: .milliseconds(1999))))
        #expect(deadline.hasPassed(now: now.advanced(by: .seconds(2))), "the instant itself is too late")
        #expect(Deadline.after(.seconds(1), now: now) < deadline)
    }

    @Test func theContractsDefaultCountsWhenNothingIsSaid() {
        #expect(effective(CallOptions()) == .seconds(5))
    }

    @Test func theEarliestCounts() {
        #expect(effective(CallOptions(timeout: .seconds(1))) == .seconds(1))
        #expect(effective(CallOptions(timeout: .seconds(100))) == .seconds(30), "never beyond the contract's maximum")
        #expect(effective(CallOptions(timeout: .seconds(3)), parent: .seconds(2)) == .seconds(2))
        #expect(effective(CallOptions(timeout: .seconds(1)), parent: .seconds(2)) == .seconds(1))
    }

    @Test func aParentsDeadlineReplacesTheDefault() {
        #expect(effective(CallOptions(), parent: .seconds(9)) == .seconds(9))
        #expect(effective(CallOptions(), parent: .seconds(100)) == .seconds(30))
    }

    @Test func callsOnBehalfShrinkHopByHop() throws {
        let context = CallContext(
            method: Fixture.method(), peer: try #require(PeerIdentity(service: "gateway")),
            deadline: .after(.seconds(4), now: now), lane: .emergency, requestID: RequestID("req_1") ?? RequestID(), user: Fixture.user(),
            userToken: "token", origin: ClientOrigin(address: "192.0.2.1", userAgent: "test"))
        let options = context.outgoing()
        let next = options.effectiveDeadline(for: Fixture.method(), now: now.advanced(by: .seconds(1)))
        #expect(next.remaining(now: now.advanced(by: .seconds(1))) == .seconds(3))
        #expect(options.requestID == "req_1" && options.userToken == "token" && options.lane == .emergency)
        #expect(options.origin == context.origin)
        #expect(context.outgoing(timeout: .seconds(1)).timeout == .seconds(1))
    }

    private func effective(_ options: CallOptions, parent: Duration? = nil) -> Duration {
        var options = options
        options.deadline = parent.map { .after($0, now: now) }
        return options.effectiveDeadline(for: Fixture.method(), now: now).remaining(now: now)
    }
}
