/// What the gateway knows of ended sessions, and how fresh that is: a value, told the time.
package struct FeedState: Sendable {
    /// A feed that has not answered for this long says nothing any more.
    package static let staleAfter = Duration.seconds(5)
    /// An answer with this many sessions may be a page of more, and says nothing about the rest.
    package static let pageSize = 1000

    /// What to do with a session's token.
    package enum Verdict: Sendable, Hashable {
        case live
        case revoked
        /// The feed cannot say; auth can.
        case ask
    }

    package private(set) var book: RevocationBook
    private var raises = RaisedVersions()
    /// The last sequence number seen.
    package private(set) var sequence: Int64 = 0
    private var lastAnswer: ContinuousClock.Instant?

    package init(capacity: Int = RevocationBook.defaultCapacity) { self.book = RevocationBook(capacity: capacity) }

    package func isFresh(now: ContinuousClock.Instant) -> Bool {
        guard let lastAnswer else { return false }
        return now < lastAnswer.advanced(by: Self.staleAfter)
    }

    /// A revocation once seen holds, however stale the feed.
    package func verdict(on session: String, now: ContinuousClock.Instant) -> Verdict {
        if book.contains(session) { return .revoked }
        return isFresh(now: now) && book.isComplete(now: now) ? .live : .ask
    }

    /// The same for a token: its session may also have been begun before a minimum version was raised.
    package func verdict(on grant: AccessGrant, _ time: RequestTime) -> Verdict {
        let verdict = verdict(on: grant.sessionID, now: time.now)
        guard verdict == .live else { return verdict }
        return raises.isComplete(now: time.now) ? raises.verdict(on: grant, seconds: time.seconds) : .ask
    }

    /// Takes in an answer. A sequence that went back means another database: everything is asked for again, and the
    /// feed is not fresh until that came.
    ///
    /// - Parameter asked: The sequence number that was asked after.
    package mutating func answered(
        _ sessions: [String], raises: [RaisedVersion] = [], sequence: Int64, asked: Int64, now: ContinuousClock.Instant
    ) {
        book.note(sessions, now: now)
        self.raises.note(raises, now: now)
        guard sequence >= asked else {
            self.sequence = 0
            lastAnswer = nil
            return
        }
        self.sequence = sequence
        if sessions.count + raises.count < Self.pageSize { lastAnswer = now }
    }
}
