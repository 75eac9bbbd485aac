import Synchronization

/// What has happened to the calls of each tag (PROTOCOL.md, `report`), and to the server as a whole.
package final class Tallies: Sendable {
    private struct State {
        var tags: [String: ConformanceTally] = [:]
        var connections: UInt64 = 0
    }

    private let state = Mutex(State())
    /// A mutant's, planted in the handlers that are counted here.
    let fault: Mutant

    package init(fault: Mutant = .none) { self.fault = fault }

    package func tally(_ tag: String) -> ConformanceTally {
        state.withLock { state in
            var tally = state.tags[tag] ?? ConformanceTally()
            tally.connections = state.connections
            return tally
        }
    }

    func update(_ tag: String, _ change: (inout ConformanceTally) -> Void) {
        state.withLock { change(&$0.tags[tag, default: ConformanceTally()]) }
    }

    func connectionOpened() { state.withLock { $0.connections += 1 } }
    func connectionClosed() { state.withLock { $0.connections -= min(1, $0.connections) } }

    func began(_ tag: String) {
        update(tag) { tally in
            tally.started += 1
            tally.running += 1
            tally.peak = max(tally.peak, tally.running)
        }
    }

    func ended(_ tag: String) { update(tag) { $0.running -= 1 } }
}
