import Foundation
import Testing
import WireCore

/// Many calls over networks that are slow, cut, stalled and drained, in virtual time: every promise of the wire holds
/// after every step.
///
/// `SIM_SEED` replays one world; `SIM_SECONDS` goes on with new ones for so long (`make sim`).
@Suite struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    /// Worlds of `make test`.
    private static let few = 8
    private static let life = WireDuration.seconds(4)

    @Test func everyPromiseHoldsInEveryWorld() throws {
        var seeds = Self.seeds()
        let clock = ContinuousClock()
        let end = Self.environment["SIM_SECONDS"].flatMap(Int.init).map { clock.now.advanced(by: .seconds($0)) }
        var totals = (worlds: 0, calls: 0, connections: 0, steps: 0, outcomes: [UInt32: Int]())
        while let seed = seeds.popLast() {
            let world = try Self.live(seed)
            totals.worlds += 1
            totals.calls += world.startedCalls
            totals.connections += world.connections.count
            totals.steps += world.steps
            totals.outcomes.merge(world.outcomes) { $0 + $1 }
            if seeds.isEmpty, let end, clock.now < end { seeds.append(UInt64.random(in: 1...UInt64.max)) }
        }
        let codes = totals.outcomes.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        print(
            "simulation: \(totals.worlds) worlds, \(totals.connections) connections, \(totals.calls) calls,"
                + " \(totals.steps) steps; calls by status \(codes.joined(separator: ", "))")
        #expect(totals.calls > 50 * totals.worlds)
    }

    /// The same seed is the same run.
    @Test func aSeedIsAWorld() throws {
        let (one, other) = (try Self.live(7), try Self.live(7))
        #expect(one.startedCalls == other.startedCalls && one.steps == other.steps)
        #expect(one.outcomes == other.outcomes)
    }

    private static func live(_ seed: UInt64) throws -> World {
        let world = try World(seed: seed)
        try withKnownSeed(seed) { try world.live(for: life) }
        return world
    }

    /// Says which seed it was when a promise does not hold.
    private static func withKnownSeed(_ seed: UInt64, _ body: () throws -> Void) throws {
        print("simulation: SIM_SEED=\(seed)")
        try body()
    }

    private static func seeds() -> [UInt64] {
        if let seed = environment["SIM_SEED"].flatMap(UInt64.init) { return [seed] }
        return (0..<few).map { _ in UInt64.random(in: 1...UInt64.max) }
    }
}
