import RPCClient
import Testing

@Suite struct HedgeMachineTests {
    private func begun(_ attempts: Int = 2) -> HedgeMachine {
        var machine = HedgeMachine(attempts: attempts)
        let actions = machine.begin()
        #expect(actions == (attempts > 1 ? [.start(0), .arm] : [.start(0)]))
        return machine
    }

    /// One whose second attempt runs too.
    private func hedged(_ attempts: Int = 2) -> HedgeMachine {
        var machine = begun(attempts)
        let actions = machine.timeIsUp { true }
        #expect(actions.first == .start(1))
        return machine
    }

    @Test("An answer in time needs no second attempt")
    func inTime() {
        var machine = begun()
        #expect(machine.succeeded(0) == [.finish(0)])
        #expect(machine.isFinished)
        #expect(machine.timeIsUp { true } == [])
    }

    @Test("Whichever answers first is the answer, and the other is cancelled", arguments: [0, 1])
    func firstWins(_ winner: Int) {
        var machine = hedged()
        #expect(machine.succeeded(winner) == [.finish(winner), .cancel(1 - winner)])
        #expect(machine.failed(1 - winner, mayPass: true) { true } == [])
        #expect(machine.succeeded(1 - winner) == [])
    }

    @Test("Without a token there is no second attempt, and no harm")
    func noToken() {
        var machine = begun()
        #expect(machine.timeIsUp { false } == [])
        #expect(machine.succeeded(0) == [.finish(0)])
    }

    @Test("No token is asked for where no attempt is left")
    func noneLeft() {
        var machine = hedged()
        var asked = 0
        let actions = machine.timeIsUp {
            asked += 1
            return true
        }
        #expect(actions == [] && asked == 0)
        #expect(hedgedThrice() == [.start(2)])
    }

    private func hedgedThrice() -> [HedgeMachine.Action] {
        var machine = hedged(3)
        return machine.timeIsUp { true }
    }

    @Test("A failure that may pass waits for the other attempt", arguments: [0, 1])
    func failureWaits(_ failed: Int) {
        var machine = hedged()
        #expect(machine.failed(failed, mayPass: true) { true } == [])
        #expect(machine.succeeded(1 - failed) == [.finish(1 - failed)])
    }

    @Test("When both fail, the call fails as the last one did")
    func bothFail() {
        var machine = hedged()
        #expect(machine.failed(0, mayPass: true) { true } == [])
        #expect(machine.failed(1, mayPass: true) { true } == [.finish(1)])
        #expect(machine.isFinished)
    }

    @Test("The first attempt's failure brings the second forward, if there is a token")
    func failureHedges() {
        var machine = begun()
        #expect(machine.failed(0, mayPass: true) { true } == [.start(1)])
        #expect(machine.timeIsUp { true } == [])
        #expect(machine.failed(1, mayPass: true) { true } == [.finish(1)])
        var poor = begun()
        #expect(poor.failed(0, mayPass: true) { false } == [.finish(0)])
        var sentAway = HedgeMachine(attempts: 2)
        _ = sentAway.begin()
        #expect(sentAway.failed(0, mayPass: true, mayFollow: false) { true } == [.finish(0)], "W-89")
    }

    @Test("A failure that would not pass is the answer")
    func final() {
        var machine = hedged()
        #expect(machine.failed(1, mayPass: false) { true } == [.finish(1), .cancel(0)])
        var alone = begun()
        #expect(alone.failed(0, mayPass: false) { true } == [.finish(0)])
    }

    @Test("Cancelled, all attempts are, and nothing follows")
    func cancelled() {
        var machine = hedged()
        #expect(machine.cancelled() == [.cancel(0), .cancel(1)])
        #expect(machine.cancelled() == [])
        #expect(machine.succeeded(0) == [])
        #expect(machine.timeIsUp { true } == [])
        var fresh = HedgeMachine(attempts: 2)
        #expect(fresh.cancelled() == [])
        #expect(fresh.begin() == [])
    }

    @Test("What is said of an attempt that was not made is nothing")
    func unknown() {
        var machine = begun()
        #expect(machine.succeeded(1) == [])
        #expect(machine.failed(7, mayPass: false) { true } == [])
        #expect(machine.begin() == [])
        #expect(!machine.isFinished)
    }
}
