import DequeModule
import RPCCore
import RPCTransport

/// What a pool knows: its peers with their plans and connections, how well they do, and the calls that wait.
struct ClientPoolState {
    private(set) var peers: [PoolPeer] = []
    /// All connections, from the attempt to the end.
    var live: [ObjectIdentifier: ClientConnectionHandle] = [:]
    private(set) var waiting = Deque<PendingCall>()
    private(set) var isClosing = false
    var health: OutlierDetector
    var retry: RetryPolicy
    private var resolution = Resolution.underWay
    private var hasBegun = false
    private var retryScheduledAt: ContinuousClock.Instant?
    private var random = QuickRandom()
    /// What a new peer begins with.
    private let freshPlan: ConnectionPlan
    private var peersSeen = 0
    /// What a call does that says nothing of it.
    private let waitsForReady: Bool

    /// More addresses than these are not used.
    static let mostPeers = 64

    private enum Resolution {
        /// Or not begun: the first call that waits begins it.
        case underWay
        case done
        case failed(String)
    }

    init(_ addresses: [HostPort], _ plan: ConnectionPlan, options: ClientOptions, now: ContinuousClock.Instant) {
        freshPlan = plan
        waitsForReady = options.waitForReady
        health = OutlierDetector(options.outliers)
        retry = RetryPolicy(options.retry)
        _ = update(addresses, now: now)
    }

    enum Verdict {
        /// The call waits; these attempts are to begin.
        case waits([ConnectionAttempt])
        /// A connection became ready since the caller looked: nobody would wake the call for it again.
        case ready(ClientConnectionHandle)
        case closed
        /// Its caller is gone.
        case ended
        /// Too many wait.
        case full
        /// The call would not wait for a connection.
        case notReady
    }

    // MARK: Calls

    mutating func wait(
        _ call: PendingCall, first: Bool, avoiding: PeerID?, limit: Int,
        now: @autoclosure () -> ContinuousClock.Instant
    ) -> Verdict {
        guard !isClosing else { return .closed }
        guard !call.isEnded else { return .ended }
        if let connection = pick(avoiding: avoiding, now: now()) { return .ready(connection) }
        guard first || waiting.count < limit else { return .full }
        let now = now()
        let attempts = peers.indices.flatMap { peers[$0].demand(now: now, isUrgent: true) }
        guard waitsForReady(call) || hasReady || isTrying else { return .notReady }
        if first { waiting.prepend(call) } else { waiting.append(call) }
        return .waits(attempts)
    }

    private func waitsForReady(_ call: PendingCall) -> Bool { call.options.waitForReady ?? waitsForReady }

    /// The one peer's connection; of several, the less busy of two that are well.
    private mutating func pick(
        avoiding: PeerID?, now: @autoclosure () -> ContinuousClock.Instant
    ) -> ClientConnectionHandle? {
        if peers.count == 1 { return peers[0].pick() }
        guard let index = probed(now: now()) ?? choose(avoiding) else { return nil }
        return peers[index].pick()
    }

    /// Better one that was not tried than one that was, and better an ejected one than none.
    private mutating func choose(_ avoided: PeerID?) -> Int? {
        var random = random
        defer { self.random = random }
        return TwoChoices.pick(peers.count, using: &random) { isWell($0) && peers[$0].id != avoided ? peers[$0].load : nil }
            ?? TwoChoices.pick(peers.count, using: &random) { isWell($0) ? peers[$0].load : nil }
            ?? TwoChoices.pick(peers.count, using: &random) { peers[$0].load }
    }

    private func isWell(_ index: Int) -> Bool { health.isHealthy(peers[index].id) }

    private mutating func probed(now: @autoclosure () -> ContinuousClock.Instant) -> Int? {
        guard health.ejected > 0 else { return nil }
        let peer = health.probe(now: now()) { id in peers.contains { $0.id == id && $0.load != nil } }
        return peer.flatMap(index)
    }

    mutating func nextWaiting() -> PendingCall? { waiting.popFirst() }

    mutating func forget(_ call: PendingCall) {
        if let index = waiting.firstIndex(where: { $0 === call }) { waiting.remove(at: index) }
    }

    /// Takes out the calls that wait for no second attempt, once there is nothing under way.
    mutating func impatient() -> [PendingCall] {
        guard !hasReady, !isTrying else { return [] }
        let hopeless = waiting.filter { !waitsForReady($0) }
        waiting = waiting.filter { waitsForReady($0) }
        return Array(hopeless)
    }

    // MARK: Peers

    /// The addresses are these from now on.
    ///
    /// - Returns: Connections to servers that are none any more: to be ended once their calls have.
    mutating func update(_ addresses: [HostPort], now: ContinuousClock.Instant) -> [ClientConnectionHandle] {
        var wanted: [HostPort] = []
        for address in addresses where wanted.count < Self.mostPeers && !wanted.contains(address) {
            wanted.append(address)
        }
        let gone = peers.filter { !wanted.contains($0.address) }
        peers.removeAll { !wanted.contains($0.address) }
        for peer in gone { health.remove(peer.id) }
        for address in wanted where !peers.contains(where: { $0.address == address }) { add(address, now: now) }
        if let only = peers.first, peers.count == 1 { health.forgive(only.id, now: now) }
        if !wanted.isEmpty { resolution = .done }
        return gone.flatMap(\.ready)
    }

    private mutating func add(_ address: HostPort, now: ContinuousClock.Instant) {
        peersSeen += 1
        let id = PeerID(peersSeen)
        peers.append(PoolPeer(id: id, address: address, plan: freshPlan))
        health.add(id, now: now)
    }

    /// Whether nobody looks for addresses yet.
    mutating func beginResolution() -> Bool {
        guard !hasBegun, !isClosing else { return false }
        hasBegun = true
        return true
    }

    /// What was found before still holds.
    mutating func resolutionFailed(_ reason: String) {
        if peers.isEmpty { resolution = .failed(reason) }
    }

    private func index(_ peer: PeerID) -> Int? { peers.firstIndex { $0.id == peer } }

    // MARK: Connections

    mutating func connected(_ connection: ClientConnectionHandle) -> Bool {
        guard let index = index(connection.peer), peers[index].plan.connected(connection.attempt.attempt), !isClosing
        else { return false }
        peers[index].ready.append(connection)
        return true
    }

    /// The attempts to begin now. A pause comes first where no call waits, and after a connection that served none: a
    /// server that takes connections only to end them again is not to be asked without end.
    mutating func retired(
        _ connection: ClientConnectionHandle, hasServed: Bool, now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> [ConnectionAttempt] {
        if let index = index(connection.peer) {
            peers[index].ready.removeAll { $0 === connection }
            peers[index].pastSuccesses += connection.successes
            peers[index].plan.retired(connection.attempt.attempt)
            if !hasServed, peers[index].ready.isEmpty { peers[index].plan.doubt() }
            if !hasServed || (waiting.isEmpty && hasReady) { peers[index].plan.pause(now: now, using: &random) }
        }
        return demand(now: now)
    }

    mutating func failed(
        _ attempt: ConnectionAttempt, _ reason: String, now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        guard let index = index(attempt.peer) else { return }
        peers[index].plan.failed(attempt.attempt, reason, now: now, using: &random)
    }

    /// The peer has answered over a new connection.
    mutating func proved(_ peer: PeerID) {
        if let index = index(peer) { peers[index].plan.proved() }
    }

    /// An idle connection has ended: none takes its place before a call wants one.
    mutating func dropped(_ connection: ClientConnectionHandle) {
        guard let index = index(connection.peer) else { return }
        peers[index].ready.removeAll { $0 === connection }
        peers[index].pastSuccesses += connection.successes
        peers[index].plan.retired(connection.attempt.attempt)
    }

    /// When to call `retry`, unless somebody does already.
    mutating func retryToSchedule() -> ContinuousClock.Instant? {
        guard isWanted, let due = peers.compactMap(\.plan.retryAt).min() else { return nil }
        if let retryScheduledAt, retryScheduledAt <= due { return nil }
        retryScheduledAt = due
        return due
    }

    mutating func retry(now: ContinuousClock.Instant) -> [ConnectionAttempt] {
        retryScheduledAt = nil
        return demand(now: now)
    }

    /// The attempts to begin now.
    mutating func demand(now: ContinuousClock.Instant) -> [ConnectionAttempt] {
        isWanted ? peers.indices.flatMap { peers[$0].demand(now: now, isUrgent: false) } : []
    }

    mutating func close() -> (waiting: [PendingCall], live: [ClientConnectionHandle]) {
        isClosing = true
        defer { waiting = [] }
        for index in peers.indices { peers[index].ready = [] }
        return (Array(waiting), Array(live.values))
    }

    var hasReady: Bool { peers.contains { !$0.ready.isEmpty } }

    /// Somebody looks for addresses, or connects.
    private var isTrying: Bool {
        if case .underWay = resolution { return true }
        return peers.contains { $0.plan.isConnecting }
    }

    /// Calls wait, or the pool is in use and may have lost some of its connections.
    private var isWanted: Bool { !isClosing && (!waiting.isEmpty || hasReady) }

    // MARK: Health

    /// Nothing has failed lately: a success is no news.
    var isCalm: Bool { health.isCalm && retry.budget.isFull }

    mutating func observe(_ peer: PeerID, isWell: Bool, now: ContinuousClock.Instant) {
        guard !isWell else { return health.succeeded(peer, now: now) }
        guard peers.count > 1 else { return }
        health.failed(peer, now: now)
        guard health.isIntervalOver(now: now) else { return }
        let successes = Dictionary(uniqueKeysWithValues: peers.map { ($0.id, $0.successes) })
        health.endInterval(successes: successes, now: now)
    }

    /// Why there is no connection: what went wrong last, at each peer when there are several.
    var lastFailure: String? {
        if peers.isEmpty, case .failed(let reason) = resolution { return reason }
        let failures = peers.compactMap { peer in peer.plan.lastFailure.map { (peer.address, $0) } }
        guard peers.count > 1 else { return failures.first?.1 }
        guard !failures.isEmpty else { return nil }
        let texts = failures.prefix(Self.mostFailuresTold).map { "\($0.0) \($0.1)" }
        return texts.joined(separator: ", ") + (failures.count > texts.count ? ", ..." : "")
    }

    private static let mostFailuresTold = 3
}
