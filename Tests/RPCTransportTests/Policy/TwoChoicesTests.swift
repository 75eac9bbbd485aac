import RPCClient
import TestSupport
import Testing

@Suite struct TwoChoicesTests {
    @Test("Of two, the less busy one; of none, none")
    func few() {
        var random = SeededRandom(seed: 1)
        #expect(TwoChoices.pick(0, using: &random) { _ in 0 } == nil)
        #expect(TwoChoices.pick(1, using: &random) { _ in 7 } == 0)
        #expect(TwoChoices.pick(1, using: &random) { _ in nil } == nil)
        for _ in 0..<50 { #expect(TwoChoices.pick(2, using: &random) { [5, 4][$0] } == 1) }
    }

    @Test("The busiest is never chosen, and the only one that can be used always is")
    func extremes() {
        var random = SeededRandom()
        print("seed \(random.seed)")
        for _ in 0..<500 {
            let chosen = TwoChoices.pick(5, using: &random) { [1, 2, 9, 3, 1][$0] }
            #expect(chosen != nil && chosen != 2)
            #expect(TwoChoices.pick(5, using: &random) { $0 == 3 ? 100 : nil } == 3)
            #expect(TwoChoices.pick(5, using: &random) { _ in nil } == nil)
            let two = TwoChoices.pick(5, using: &random) { $0 == 0 ? 4 : $0 == 4 ? 2 : nil }
            #expect(two == 0 || two == 4)
        }
    }

    @Test("Ten servers share a thousand calls almost evenly, far better than by chance alone")
    func even() {
        var random = SeededRandom()
        print("seed \(random.seed)")
        var loads = Array(repeating: 0, count: 10)
        for _ in 0..<1000 {
            if let chosen = TwoChoices.pick(10, using: &random, load: { loads[$0] }) { loads[chosen] += 1 }
        }
        #expect(loads.reduce(0, +) == 1000)
        #expect(loads.allSatisfy { (95...105).contains($0) }, "\(loads)")
    }
}
