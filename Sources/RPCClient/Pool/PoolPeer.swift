import RPCTransport

/// An attempt to connect, to one of a pool's peers.
struct ConnectionAttempt: Sendable {
    let peer: PeerID
    let address: HostPort
    let attempt: ConnectionPlan.Attempt
}

/// One server of a pool's service: where it is, and the connections to it.
struct PoolPeer {
    let id: PeerID
    let address: HostPort
    var plan: ConnectionPlan
    /// Connections that take calls.
    var ready: [ClientConnectionHandle] = []
    /// Successes of connections that are gone.
    var pastSuccesses = 0
    private var turn = 0

    init(id: PeerID, address: HostPort, plan: ConnectionPlan) {
        self.id = id
        self.address = address
        self.plan = plan
    }

    /// The connection on this thread's loop, else each in turn; never one that has said that it is full. That one owes
    /// a wake-up, and clears the mark before it looks for calls that wait: so none is left behind.
    ///
    /// - Returns: The connection, promised one call: `start` it.
    mutating func pick() -> ClientConnectionHandle? {
        if let here = ready.first(where: { $0.isHere && !$0.isFull }) { return here }
        for _ in ready.indices {
            turn = (turn + 1) % ready.count
            guard !ready[turn].isFull else { continue }
            ready[turn].promise()
            return ready[turn]
        }
        return nil
    }

    /// Calls under way here; nil when it takes none.
    var load: Int? {
        var (load, hasRoom) = (0, false)
        for connection in ready {
            load += connection.outstanding.count
            if !connection.isFull { hasRoom = true }
        }
        return hasRoom ? load : nil
    }

    /// Since ever.
    var successes: Int { ready.reduce(pastSuccesses) { $0 + $1.successes } }

    /// The attempts to begin now. An urgent call waits for no pause where this peer was well.
    mutating func demand(now: ContinuousClock.Instant, isUrgent: Bool) -> [ConnectionAttempt] {
        plan.demand(now: now, isUrgent: isUrgent && ready.isEmpty && !plan.isDoubtful)
            .map { ConnectionAttempt(peer: id, address: address, attempt: $0) }
    }
}
