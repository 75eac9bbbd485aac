/// The sessions that ended while access tokens of theirs may still live. Bounded in time and number.
package struct RevocationBook: Sendable {
    /// Longer than the life of an access token and the clocks' skew: after this nobody can show one any more.
    package static let memory = Duration.seconds(960)
    /// Sessions remembered. 1 of 1000 users who sign out in a quarter of an hour, of a hundred million.
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
