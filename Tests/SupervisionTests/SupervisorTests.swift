import Supervision
import Testing

@Suite struct SupervisorTests {
    var state = Supervisor(["a", "b", "c"], stopGrace: .seconds(20))

    @Test func allAreStartedInOrder() {
        var state = state
        #expect(state.begin(now: .zero) == [.start("a"), .start("b"), .start("c")])
        #expect(state.nextWake == nil)
        #expect(!state.isFinished)
    }

    @Test(arguments: [
        (1, Duration.milliseconds(200)), (2, .milliseconds(400)), (3, .milliseconds(800)), (4, .milliseconds(1600)),
        (5, .milliseconds(3200)), (6, .milliseconds(6400)), (7, .seconds(10)), (8, .seconds(10)), (1000, .seconds(10)),
        (0, .milliseconds(200)),
    ])
    func pausesDoubleUpToABound(failures: Int, delay: Duration) {
        #expect(RestartBackoff().delay(afterFailures: failures) == delay)
    }

    @Test func whoEndsIsStartedAgainAfterAPause() {
        var state = state
        _ = state.begin(now: .zero)
        let now = Duration.seconds(1)
        #expect(
            state.ended("b", .signaled(9), now: now)
                == [.report(.restarting("b", .signaled(9), after: .milliseconds(200)))])
        #expect(state.nextWake == .milliseconds(1200))
        #expect(state.tick(now: .milliseconds(1199)) == [])
        #expect(state.tick(now: .milliseconds(1200)) == [.start("b")])
        #expect(state.nextWake == nil)
    }

    @Test func failuresInARowWaitLongerAndALongRunStartsOver() {
        var state = Supervisor(["a"], stopGrace: .seconds(20))
        _ = state.begin(now: .zero)
        var now = Duration.zero
        var delays: [Duration] = []
        for _ in 0..<4 {
            guard case .report(.restarting(_, _, let delay))? = state.ended("a", .exited(1), now: now).first else {
                break
            }
            delays.append(delay)
            now += delay
            #expect(state.tick(now: now) == [.start("a")])
        }
        #expect(delays == [.milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600)])
        now += .seconds(10)
        #expect(
            state.ended("a", .exited(1), now: now)
                == [.report(.restarting("a", .exited(1), after: .milliseconds(200)))])
    }

    @Test func theyStopOneAfterTheOtherBackwards() {
        var state = state
        _ = state.begin(now: .zero)
        #expect(state.stop(now: .seconds(1)) == [.terminate("c")])
        #expect(state.ended("c", .exited(0), now: .seconds(2)) == [.report(.stopped("c", .exited(0))), .terminate("b")])
        #expect(state.ended("b", .exited(0), now: .seconds(2)) == [.report(.stopped("b", .exited(0))), .terminate("a")])
        #expect(!state.isFinished)
        #expect(state.ended("a", .exited(0), now: .seconds(2)) == [.report(.stopped("a", .exited(0)))])
        #expect(state.isFinished)
        #expect(state.exitStatus == 0)
    }

    @Test func whoDoesNotStopInTimeIsKilled() {
        var state = state
        _ = state.begin(now: .zero)
        _ = state.stop(now: .seconds(1))
        #expect(state.nextWake == .seconds(21))
        #expect(state.tick(now: .seconds(21)) == [.report(.overran("c")), .kill("c")])
        #expect(state.tick(now: .seconds(22)) == [])
        #expect(state.nextWake == nil)
        #expect(state.ended("c", .signaled(9), now: .seconds(22)).last == .terminate("b"))
        #expect(state.exitStatus == 1)
    }

    @Test func aSecondStopKillsAllThatStillRun() {
        var state = state
        _ = state.begin(now: .zero)
        _ = state.stop(now: .seconds(1))
        _ = state.ended("c", .exited(0), now: .seconds(1))
        #expect(state.stop(now: .seconds(2)) == [.kill("b"), .kill("a")])
        _ = state.ended("a", .signaled(9), now: .seconds(2))
        _ = state.ended("b", .signaled(9), now: .seconds(2))
        #expect(state.isFinished)
        #expect(state.exitStatus == 1)
    }

    @Test func whoWaitsWhenAllStopIsNotStartedAgain() {
        var state = state
        _ = state.begin(now: .zero)
        _ = state.ended("c", .exited(1), now: .zero)
        #expect(state.stop(now: .zero) == [.terminate("b")])
        #expect(state.tick(now: .seconds(5)) == [])
    }

    @Test func whoEndsByItselfWhileOthersStopIsNotStartedAgain() {
        var state = state
        _ = state.begin(now: .zero)
        _ = state.stop(now: .zero)
        #expect(state.ended("a", .exited(0), now: .zero) == [.report(.stopped("a", .exited(0)))])
        #expect(state.ended("c", .exited(0), now: .zero).last == .terminate("b"))
        _ = state.ended("b", .exited(0), now: .zero)
        #expect(state.isFinished)
    }

    @Test func whoCannotStartAsThingsAreStopsAll() {
        var state = state
        _ = state.begin(now: .zero)
        #expect(
            state.ended("a", .exited(78), now: .zero) == [.report(.gaveUp("a", .exited(78))), .terminate("c")])
        _ = state.ended("c", .exited(0), now: .zero)
        _ = state.ended("b", .exited(0), now: .zero)
        #expect(state.isFinished)
        #expect(state.exitStatus == 78)
    }

    @Test func anEventOfNobodyIsIgnored() {
        var state = state
        #expect(state.ended("x", .exited(0), now: .zero) == [])
        _ = state.begin(now: .zero)
        _ = state.ended("a", .exited(1), now: .zero)
        #expect(state.ended("a", .exited(1), now: .zero) == [])
    }
}
