/// Names one peer of a pool for as long as it is one; never used again.
package struct PeerID: Sendable, Hashable {
    let number: Int

    package init(_ number: Int) { self.number = number }
}

/// When a peer is taken out of use, and for how long.
package struct OutlierOptions: Sendable, Hashable {
    /// So many failures without a success between them.
    package var failuresInARow = 5
    /// Its share of successes is lower by this than that of the others together, over an interval. (Envoy's deviation
    /// from the mean cannot single out one of three.)
    package var margin = 0.3
    /// Answers in an interval below which the share says nothing.
    package var volume = 20
    package var interval = Duration.seconds(10)
    /// Doubled with each ejection that follows, up to `longestEjection`; halved again for each such time in good health.
    package var ejection = Duration.seconds(5)
    package var longestEjection = Duration.seconds(60)
    /// The share of peers that may be out of use at once; one of two and more always may.
    package var mostEjected = 0.5
    /// A probe without an outcome gives way to the next.
    package var probeTimeout = Duration.seconds(5)

    package init() {}
}

/// Takes peers out of use that fail while others do not, and lets them back in one call at a time. Decisions as a
/// value: time is passed in.
///
///     healthy -> ejected -> probing -> healthy        probing -> ejected, for longer
///
/// | event | healthy | ejected | probing |
/// |---|---|---|---|
/// | success | counts | – | → healthy |
/// | failure | counts; → ejected when it is one too many and the share of ejected peers allows | – | → ejected |
/// | interval over | → ejected when far below the others and the share allows | – | – |
/// | a call asks for a probe | – | when its time is over: → probing, gets the call | gets it when the last one is lost |
package struct OutlierDetector: Sendable {
    private enum Health: Sendable, Hashable {
        case healthy(since: ContinuousClock.Instant)
        case ejected(until: ContinuousClock.Instant)
        case probing(since: ContinuousClock.Instant)
    }

    private struct Record: Sendable {
        var health: Health
        var failuresInARow = 0
        /// Of this interval.
        var failures = 0
        /// All that the driver had counted when the interval began.
        var successesBefore = 0
        /// How often it was ejected, less what good health has forgiven.
        var ejections = 0
    }

    private let options: OutlierOptions
    private var records: [PeerID: Record] = [:]
    private var intervalStart: ContinuousClock.Instant?
    /// Peers that are ejected or probed.
    package private(set) var ejected = 0
    /// Peers whose last answer was a failure.
    private var failing = 0

    package init(_ options: OutlierOptions = OutlierOptions()) { self.options = options }

    /// Nothing is wrong: a success is no news.
    package var isCalm: Bool { ejected == 0 && failing == 0 }

    package mutating func add(_ peer: PeerID, now: ContinuousClock.Instant) {
        records[peer] = Record(health: .healthy(since: now))
        if intervalStart == nil { intervalStart = now }
    }

    package mutating func remove(_ peer: PeerID) {
        records[peer] = nil
        recount()
    }

    /// Begins anew with this one: with nobody to compare it with, it is as good as any.
    package mutating func forgive(_ peer: PeerID, now: ContinuousClock.Instant) {
        records[peer] = Record(health: .healthy(since: now))
        recount()
    }

    /// Takes calls as any other does.
    package func isHealthy(_ peer: PeerID) -> Bool {
        if ejected == 0 { return true }
        if case .healthy? = records[peer]?.health { return true }
        return false
    }

    // MARK: Answers

    package mutating func succeeded(_ peer: PeerID, now: ContinuousClock.Instant) {
        guard var record = records[peer] else { return }
        record.failuresInARow = 0
        if case .probing = record.health { record.health = .healthy(since: now) }
        records[peer] = record
        recount()
    }

    package mutating func failed(_ peer: PeerID, now: ContinuousClock.Instant) {
        guard var record = records[peer] else { return }
        switch record.health {
        case .ejected: return
        case .probing: eject(peer, &record, now: now)
        case .healthy:
            record.failures += 1
            record.failuresInARow += 1
            if record.failuresInARow >= options.failuresInARow, mayEject { eject(peer, &record, now: now) }
        }
        records[peer] = record
        recount()
    }

    // MARK: Intervals

    package func isIntervalOver(now: ContinuousClock.Instant) -> Bool {
        intervalStart.map { $0.duration(to: now) >= options.interval } ?? false
    }

    /// Ejects whoever is far below the others, and begins the next interval.
    ///
    /// - Parameter successes: Of each peer, since ever.
    package mutating func endInterval(successes: [PeerID: Int], now: ContinuousClock.Instant) {
        let counts = counts(successes)
        for (peer, rate) in Self.rates(counts).sorted(by: { ($0.value, $0.key.number) < ($1.value, $1.key.number) }) {
            guard let others = Self.rate(of: counts.filter { $0.key != peer }), rate < others - options.margin, mayEject,
                var record = records[peer]
            else { continue }
            eject(peer, &record, now: now)
            records[peer] = record
            recount()
        }
        for peer in records.keys {
            records[peer]?.failures = 0
            records[peer]?.successesBefore = successes[peer] ?? 0
        }
        intervalStart = now
    }

    private typealias Count = (good: Int, bad: Int)

    /// Of the healthy ones that were asked often enough.
    private func counts(_ successes: [PeerID: Int]) -> [PeerID: Count] {
        var counts: [PeerID: Count] = [:]
        for (peer, record) in records {
            guard case .healthy = record.health else { continue }
            let count = (good: max(0, (successes[peer] ?? 0) - record.successesBefore), bad: record.failures)
            if count.good + count.bad >= options.volume { counts[peer] = count }
        }
        return counts
    }

    private static func rates(_ counts: [PeerID: Count]) -> [PeerID: Double] {
        counts.mapValues { Double($0.good) / Double($0.good + $0.bad) }
    }

    /// Of all of them together.
    private static func rate(of counts: [PeerID: Count]) -> Double? {
        let (good, bad) = counts.values.reduce((0, 0)) { ($0.0 + $1.good, $0.1 + $1.bad) }
        return good + bad > 0 ? Double(good) / Double(good + bad) : nil
    }

    // MARK: Ejection

    /// A peer that is to have the next call, to see how it is.
    ///
    /// - Parameter isReady: It could take a call.
    package mutating func probe(now: ContinuousClock.Instant, isReady: (PeerID) -> Bool) -> PeerID? {
        guard ejected > 0 else { return nil }
        let due = records.first { isReady($0.key) && isProbeDue($0.value.health, now: now) }
        guard let peer = due?.key else { return nil }
        records[peer]?.health = .probing(since: now)
        return peer
    }

    private func isProbeDue(_ health: Health, now: ContinuousClock.Instant) -> Bool {
        switch health {
        case .healthy: false
        case .ejected(let until): now >= until
        case .probing(let since): since.duration(to: now) >= options.probeTimeout
        }
    }

    private var mayEject: Bool {
        records.count > 1 && ejected < max(1, Int(Double(records.count) * options.mostEjected))
    }

    private func eject(_ peer: PeerID, _ record: inout Record, now: ContinuousClock.Instant) {
        if case .healthy(let since) = record.health {
            let forgiven = since.duration(to: now) / options.longestEjection
            record.ejections = max(0, record.ejections - Int(min(forgiven, Double(record.ejections))))
        }
        let doublings = 1 << min(record.ejections, Self.mostDoublings)
        record.health = .ejected(until: now.advanced(by: min(options.longestEjection, options.ejection * doublings)))
        record.ejections += 1
        record.failuresInARow = 0
    }

    /// Beyond it doubling changes nothing.
    private static let mostDoublings = 20

    private mutating func recount() {
        (ejected, failing) = (0, 0)
        for record in records.values {
            if case .healthy = record.health {} else { ejected += 1 }
            if record.failuresInARow > 0 { failing += 1 }
        }
    }
}
