/// Which of the processes that share a keyring live, as one of them sees it: a value, told what the store says and the time.
///
/// No two clocks are compared. A process counts as lapsed when its beat has stood still for its lease, on the clock of whoever
/// looks; and it takes itself for lapsed earlier, nine tenths of its lease after the beginning of the last meeting in which it
/// had the newest keyring. So whoever is not waited for any more knows it already.
struct ReplicaWatch: Sendable {
    /// This process's own, in microseconds; also that of processes that do not say theirs.
    let lease: Int64

    private struct Sighting {
        let replica: Replica
        /// When this beat was first seen.
        let since: Int64
    }

    private var sightings: [String: Sighting] = [:]
    /// Those that have lapsed, as of the last look.
    private(set) var lapsed: [Replica] = []

    init(lease: Int64) { self.lease = lease }

    /// How long a process may go on after a meeting before it takes itself for lapsed. The rest is for clocks that run at
    /// another pace.
    var ownLease: Int64 { lease / 10 * 9 }

    /// Takes what the store says.
    ///
    /// - Parameter uptime: Microseconds on a clock that is never set and does not stand still while the machine sleeps.
    mutating func look(_ others: [Replica], at uptime: Int64) {
        var next: [String: Sighting] = [:]
        for replica in others {
            let known = sightings[replica.id]
            let isSame = known?.replica.beat == replica.beat
            next[replica.id] = Sighting(replica: replica, since: isSame ? known?.since ?? uptime : uptime)
        }
        sightings = next
        lapsed = others.filter { isLapsed($0.id, at: uptime) }
    }

    /// Whether all others that live have this generation, or a later one.
    func allHold(_ generation: UInt64, at uptime: Int64) -> Bool {
        sightings.allSatisfy { $0.value.replica.holds >= generation || isLapsed($0.key, at: uptime) }
    }

    private func isLapsed(_ id: String, at uptime: Int64) -> Bool {
        sightings[id].map { uptime - $0.since > ($0.replica.lease > 0 ? $0.replica.lease : lease) } ?? true
    }
}
