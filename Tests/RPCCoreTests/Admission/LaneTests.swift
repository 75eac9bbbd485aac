import RPCCore
import TestSupport
import Testing

@Suite struct LaneTests {
    @Test("A fifth is for emergencies, half for routine work, the rest for whoever comes first", arguments: 0...200)
    func shares(limit: Int) {
        let shares = LaneShares(limit: limit)
        #expect(shares.routine + shares.reserve == limit)
        #expect(shares.reserve >= limit / 5)
        #expect(shares.emergency >= shares.reserve)
        #expect(limit - shares.emergency >= limit / 2 || limit == 1, "routine work keeps half")
        #expect(limit == 0 || shares.routine >= 1, "routine work gets in at all")
    }

    @Test("In whatever order calls come and go, no more are in than may, and neither lane loses what is its own")
    func anyOrder() {
        var random = SeededRandom("anyOrder")
        for limit in [1, 2, 3, 5, 10, 64] {
            let (gauge, shares) = (LaneGauge(limit: limit), LaneShares(limit: limit))
            var inside: [Lane: Int] = [.routine: 0, .emergency: 0]
            for _ in 0..<2000 {
                let lane: Lane = Bool.random(using: &random) ? .routine : .emergency
                let count = inside[lane] ?? 0
                if Bool.random(using: &random), count > 0 {
                    gauge.leave(lane)
                    inside[lane] = count - 1
                } else if gauge.enter(lane) {
                    inside[lane] = count + 1
                } else {
                    let own = lane == .emergency ? shares.reserve : limit - shares.emergency
                    #expect(count >= own, "\(lane) was refused below its own \(own) of \(limit)")
                }
                #expect(gauge.current == inside.values.reduce(0, +))
                #expect(gauge.current <= limit)
            }
        }
    }

    @Test("Routine work that fills its places leaves a fifth; emergencies that fill theirs leave half")
    func floods() {
        let routine = LaneGauge(limit: 100)
        let taken = (0..<500).filter { _ in routine.enter(.routine) }.count
        #expect(taken == 80)
        let urgentOnes = (0..<20).filter { _ in routine.enter(.emergency) }.count
        #expect(urgentOnes == 20)
        #expect(!routine.enter(.emergency))
        let urgent = LaneGauge(limit: 100)
        let flooded = (0..<500).filter { _ in urgent.enter(.emergency) }.count
        #expect(flooded == 50)
        let others = (0..<50).filter { _ in urgent.enter(.routine) }.count
        #expect(others == 50)
        #expect(!urgent.enter(.routine))
    }

    @Test("A place changes its lane, or stays what it was")
    func move() {
        let gauge = LaneGauge(limit: 10)
        for _ in 0..<8 { _ = gauge.enter(.routine) }
        #expect(gauge.move(from: .routine, to: .emergency))
        #expect(gauge.enter(.routine), "the place that was left is free")
        #expect(!gauge.move(from: .emergency, to: .routine), "routine has its eight")
        #expect(gauge.current == 9)
    }

    @Test("A limit that shrinks lets calls end, and takes none until there is room")
    func shrinks() {
        let gauge = LaneGauge(limit: 10)
        for _ in 0..<8 { _ = gauge.enter(.routine) }
        gauge.shares = LaneShares(limit: 5)
        #expect(!gauge.enter(.routine))
        #expect(gauge.enter(.emergency), "its own fifth stays")
        for _ in 0..<6 { gauge.leave(.routine) }
        #expect(gauge.enter(.routine))
    }

    @Test(
        "While something narrows the limit, emergencies keep a fifth of the whole, and routine work half of what is left",
        arguments: [1, 4, 5, 8])
    func narrowed(limit: Int) {
        let gauge = LaneGauge(limit: 100)
        for _ in 0..<80 { #expect(gauge.enter(.routine)) }
        gauge.shares = LaneShares(limit: limit, of: 100)
        #expect(!gauge.enter(.routine))
        let urgent = (0..<50).filter { _ in gauge.enter(.emergency) }.count
        #expect(urgent == 20, "whatever still runs of before")
        for _ in 0..<80 { gauge.leave(.routine) }
        let routine = (0..<50).filter { _ in gauge.enter(.routine) }.count
        #expect(routine == limit - (limit == 1 ? 1 : limit / 2), "emergencies in flood")
        for _ in 0..<20 { gauge.leave(.emergency) }
        while gauge.enter(.routine) {}
        #expect(gauge.current == LaneShares(limit: limit).routine, "the measure is taken with as many as ever")
    }

    @Test("Without a limit everybody comes in")
    func unlimited() {
        let gauge = LaneGauge(limit: nil)
        let taken = (0..<10_000).filter { _ in gauge.enter(.routine) }.count
        #expect(taken == 10_000)
    }
}
