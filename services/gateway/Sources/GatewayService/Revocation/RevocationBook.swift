/// The sessions that ended while access tokens of theirs may still live. Bounded in time and number.
package struct RevocationBook: Sendable {
    /// The longest life that an access token may be given: what Encryption signs at most (`TokenAuthority` there), and
    /// `auth.access_token_lifetime` allows.
    package static let longestToken = Duration.seconds(3600)
    /// How far clocks may differ; `TokenVerifier` allows no more.
    package static let skew = Duration.seconds(60)
    /// After this nobody can show a token of an ended session any more.
    package static let memory = longestToken + skew
    /// Sessions remembered. 1 of 1000 users who sign out within an hour, of a hundred million.
    package static let defaultCapacity = 100_000

    private let capacity: Int
    private var ended: [String: ContinuousClock.Instant] = [:]
    private var nextPrune: ContinuousClock.Instant?
    /// Until when the book may lack something, because more ended than it holds.
    private var incompleteUntil: ContinuousClock.Instant?

    package init(capacity: Int = RevocationBook.defaultCapacity) { self.capacity = capacity }

    package var count: Int { ended.count }

    package func contains(_ session: String) -> Bool { ended[session] != nil }

    /// Whether a session that is not in the book has not ended.
    package func isComplete(now: ContinuousClock.Instant) -> Bool {
        incompleteUntil.map { now >= $0 } ?? true
    }

    /// Notes ended sessions. Those that do not fit make the book incomplete until they would have been forgotten.
    package mutating func note(_ sessions: some Sequence<String>, now: ContinuousClock.Instant) {
        prune(now: now)
        for session in sessions {
            guard ended[session] == nil else { continue }
            if ended.count < capacity {
                ended[session] = now
            } else {
                incompleteUntil = now.advanced(by: Self.memory)
            }
        }
    }

    /// Forgets what no living token can name; at most once in a sixteenth of the memory.
    private mutating func prune(now: ContinuousClock.Instant) {
        if let nextPrune, now < nextPrune { return }
        nextPrune = now.advanced(by: Self.memory / 16)
        ended = ended.filter { now < $0.value.advanced(by: Self.memory) }
    }
}
