import ArgumentParser
import Foundation
import Synchronization

/// How far apart two cores are: what it takes for one to hear of what the other has written, and back.
///
/// Work that passes between threads is a third slower where cores share no cache. Virtual machines are moved between such and
/// others, within minutes and without a word: figures of two runs tell something of the program only where this was the same.
struct Cores: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "How many nanoseconds a word takes between two cores and back.")

    private final class Line: Sendable {
        let turn = Atomic<Int>(0)
    }

    func run() {
        let trips = 200_000
        let best = (0..<3).map { _ in Self.time(trips) }.min() ?? .zero
        print("\(Int(best / .nanoseconds(1)) / trips)")
    }

    /// Two threads that never wait are never on one core for long.
    private static func time(_ trips: Int) -> Duration {
        let line = Line()
        let other = Thread {
            for trip in 0..<trips {
                while line.turn.load(ordering: .acquiring) != 2 * trip + 1 {}
                line.turn.store(2 * trip + 2, ordering: .releasing)
            }
        }
        other.start()
        let start = ContinuousClock.now
        for trip in 0..<trips {
            line.turn.store(2 * trip + 1, ordering: .releasing)
            while line.turn.load(ordering: .acquiring) != 2 * trip + 2 {}
        }
        return start.duration(to: .now)
    }
}
