import RPCClient
import TestSupport
import Testing

@Suite struct ResolutionScheduleTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    private func looking() -> ResolutionSchedule {
        var schedule = ResolutionSchedule(interval: .seconds(30), pause: .seconds(1))
        #expect(schedule.start(now: start) == .look)
        return schedule
    }

    /// When the next look is.
    private func ended(_ schedule: inout ResolutionSchedule, isFailure: Bool = false, at seconds: Double) -> Double? {
        var random = SeededRandom(seed: 1)
        let action = schedule.ended(isFailure: isFailure, now: at(seconds), using: &random)
        guard case .wait(let until)? = action else { return nil }
        return start.duration(to: until) / .seconds(1)
    }

    @Test("Nothing happens before it starts, and it starts once")
    func idle() {
        var schedule = ResolutionSchedule(interval: .seconds(30), pause: .seconds(1))
        #expect(schedule.refresh(now: start) == nil)
        #expect(schedule.time(now: start) == nil)
        #expect(ended(&schedule, at: 0) == nil)
        #expect(schedule.start(now: start) == .look)
        #expect(schedule.start(now: start) == nil)
        #expect(schedule.time(now: at(100)) == nil)
    }

    @Test("The next look follows after the interval, give or take a tenth")
    func interval() throws {
        var schedule = looking()
        let next = try #require(ended(&schedule, at: 1))
        #expect((28...34).contains(next))
        #expect(schedule.time(now: at(next - 0.001)) == nil)
        #expect(schedule.time(now: at(next + 0.001)) == .look)
    }

    @Test("Failures are tried again with growing pauses, at most the interval")
    func failures() throws {
        var schedule = looking()
        var (now, waits) = (0.0, [Double]())
        for _ in 0..<10 {
            let next = try #require(ended(&schedule, isFailure: true, at: now))
            waits.append(next - now)
            now = next + 0.001
            #expect(schedule.time(now: at(now)) == .look)
        }
        #expect(waits.allSatisfy { (1...30.1).contains($0) }, "\(waits)")
        #expect(waits[0] <= 2.001 && (waits.max() ?? 0) > 4, "\(waits)")
        _ = ended(&schedule, at: now)
        _ = schedule.refresh(now: at(now + 5))
        let after = try #require(ended(&schedule, isFailure: true, at: now + 5))
        #expect(after - now - 5 <= 2.001)
    }

    @Test("A connection that failed has it look soon, and a thousand no sooner")
    func refresh() throws {
        var schedule = looking()
        _ = ended(&schedule, at: 0.2)
        #expect(schedule.refresh(now: at(0.3)) == .wait(until: at(1)))
        for _ in 0..<1000 { #expect(schedule.refresh(now: at(0.4)) == nil) }
        #expect(schedule.time(now: at(1)) == .look)
        _ = ended(&schedule, at: 1.1)
        #expect(schedule.refresh(now: at(9)) == .look)
    }

    @Test("Asked again while it looks, it looks once more after the pause")
    func askedWhileLooking() throws {
        var schedule = looking()
        #expect(schedule.refresh(now: at(0.1)) == nil)
        let next = try #require(ended(&schedule, at: 0.2))
        #expect(abs(next - 1.2) < 0.001)
    }

    @Test("Stopped, it does nothing more")
    func stopped() {
        var schedule = looking()
        schedule.stop()
        #expect(ended(&schedule, at: 1) == nil)
        #expect(schedule.refresh(now: at(2)) == nil)
        #expect(schedule.time(now: at(60)) == nil)
        #expect(schedule.start(now: at(61)) == nil)
    }
}
