/// A minimum token version that was raised: the sessions that began before `raisedAt`, of one user or of everybody, are
/// over from `effectiveAt` on. Seconds since 1970, of auth's clock.
package struct RaisedVersion: Sendable, Hashable {
    /// Nil for everybody.
    package let subject: String?
    package let raisedAt: Int64
    package let effectiveAt: Int64

    package init(subject: String?, raisedAt: Int64, effectiveAt: Int64) {
        self.subject = subject
        self.raisedAt = raisedAt
        self.effectiveAt = effectiveAt
    }

    /// What it means for a token. The token says when it was issued, by another clock and in whole seconds, and not when
    /// its session began; so the gateway decides what is certain, and auth the rest:
    ///
    /// | now | the token was issued | its session |
    /// |---|---|---|
    /// | more than the clocks may differ before the raise takes effect | at any time | lives on |
    /// | later | more than that after it took effect | began after it: auth refreshes no other |
    /// | it has taken effect | more than that before the raise | began before it, and is over |
    /// | otherwise | | auth is asked |
    func verdict(issuedAt: Int64, seconds: Int64) -> FeedState.Verdict {
        guard seconds >= effectiveAt - Self.skew, issuedAt <= effectiveAt + Self.skew else { return .live }
        return seconds >= effectiveAt && issuedAt < raisedAt - Self.skew ? .revoked : .ask
    }

    private static let skew = RevocationBook.skew.components.seconds
}

/// The raises that tokens may still be affected by. Bounded in time and number.
struct RaisedVersions: Sendable {
    /// Raises remembered. Admins and the operator make them, one by one.
    static let capacity = 1000

    private struct Entry {
        let raise: RaisedVersion
        let notedAt: ContinuousClock.Instant
        /// A raise is noted before it takes effect, and concerns tokens from before that.
        let memory: Duration
    }

    private var ofEverybody: [Entry] = []
    private var ofUsers: [String: [Entry]] = [:]
    private var count = 0
    private var incompleteUntil: ContinuousClock.Instant?

    /// Whether what is not here has not been raised.
    func isComplete(now: ContinuousClock.Instant) -> Bool { incompleteUntil.map { now >= $0 } ?? true }

    func verdict(on grant: AccessGrant, seconds: Int64) -> FeedState.Verdict {
        guard count > 0 else { return .live }
        let entries = ofEverybody + (ofUsers[grant.subject] ?? [])
        let verdicts = entries.map { $0.raise.verdict(issuedAt: grant.issuedAt, seconds: seconds) }
        return verdicts.contains(.revoked) ? .revoked : verdicts.contains(.ask) ? .ask : .live
    }

    mutating func note(_ raises: [RaisedVersion], now: ContinuousClock.Instant) {
        guard !raises.isEmpty else { return }
        prune(now: now)
        for raise in raises {
            let grace = Duration.seconds(min(max(0, raise.effectiveAt - raise.raisedAt), Self.longestGrace))
            let entry = Entry(raise: raise, notedAt: now, memory: RevocationBook.memory + grace)
            guard count < Self.capacity else {
                incompleteUntil = max(incompleteUntil ?? now, now.advanced(by: entry.memory))
                continue
            }
            if let subject = raise.subject {
                guard ofUsers[subject]?.contains(where: { $0.raise == raise }) != true else { continue }
                ofUsers[subject, default: []].append(entry)
            } else {
                guard !ofEverybody.contains(where: { $0.raise == raise }) else { continue }
                ofEverybody.append(entry)
            }
            count += 1
        }
    }

    private mutating func prune(now: ContinuousClock.Instant) {
        func isNeeded(_ entry: Entry) -> Bool { now < entry.notedAt.advanced(by: entry.memory) }
        ofEverybody = ofEverybody.filter(isNeeded)
        ofUsers = ofUsers.mapValues { $0.filter(isNeeded) }.filter { !$0.value.isEmpty }
        count = ofEverybody.count + ofUsers.values.reduce(0) { $0 + $1.count }
    }

    /// What auth allows at most, seconds.
    private static let longestGrace: Int64 = 86_400
}
