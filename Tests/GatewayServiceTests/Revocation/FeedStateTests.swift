import JOSE
import Testing

@testable import GatewayService

@Suite struct FeedStateTests {
    let start = ContinuousClock.Instant.now
    func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }

    var time: RequestTime { RequestTime(now: start, seconds: 1000) }

    func grant(_ session: String = "s", _ subject: String = "u", issuedAt: Int64 = 0) -> AccessGrant {
        AccessGrant(subject: subject, sessionID: session, roles: [], issuedAt: issuedAt, expiresAt: 10_000)
    }

    private func verdict(
        _ feed: FeedState, _ subject: String = "u", issuedAt: Int64, at seconds: Int64
    ) -> FeedState.Verdict {
        feed.verdict(on: grant("s", subject, issuedAt: issuedAt), RequestTime(now: start, seconds: seconds))
    }

    @Test func aRaisedVersionEndsWhatBeganBeforeAndLeavesWhatCameAfter() {
        var feed = FeedState()
        feed.answered(
            [], raises: [RaisedVersion(subject: nil, raisedAt: 1000, effectiveAt: 1000)], sequence: 1, asked: 0, now: start)
        #expect(verdict(feed, issuedAt: 939, at: 1000) == .revoked)
        #expect(verdict(feed, issuedAt: 1061, at: 1061) == .live)
        // Clocks differ by up to a minute, so nobody but auth knows which side of the raise these are on.
        for issuedAt in [940, 1000, 1060] as [Int64] { #expect(verdict(feed, issuedAt: issuedAt, at: 1060) == .ask) }
    }

    @Test func aRaiseOfOneUserIsNobodyElses() {
        var feed = FeedState()
        feed.answered(
            [], raises: [RaisedVersion(subject: "u", raisedAt: 1000, effectiveAt: 1000)], sequence: 1, asked: 0, now: start)
        #expect(verdict(feed, "u", issuedAt: 900, at: 1000) == .revoked)
        #expect(verdict(feed, "v", issuedAt: 900, at: 1000) == .live)
    }

    @Test func aGraceLetsSessionsLiveUntilItIsOver() {
        var feed = FeedState()
        feed.answered(
            [], raises: [RaisedVersion(subject: nil, raisedAt: 1000, effectiveAt: 1300)], sequence: 1, asked: 0, now: start)
        #expect(verdict(feed, issuedAt: 900, at: 1239) == .live)
        // By auth's clock it may be over already.
        #expect(verdict(feed, issuedAt: 900, at: 1299) == .ask)
        #expect(verdict(feed, issuedAt: 900, at: 1300) == .revoked)
        // Refreshed within the grace, or begun within it: auth knows.
        #expect(verdict(feed, issuedAt: 1200, at: 1300) == .ask)
        #expect(verdict(feed, issuedAt: 1361, at: 1361) == .live)
    }

    @Test func moreRaisesThanAreRememberedAreAskedFor() {
        var feed = FeedState()
        let raises = (0...RaisedVersions.capacity).map { RaisedVersion(subject: "u\($0)", raisedAt: 1000, effectiveAt: 1000) }
        feed.answered([], raises: raises, sequence: 1, asked: 0, now: start)
        feed.answered([], sequence: 1, asked: 1, now: start)
        #expect(verdict(feed, "somebody", issuedAt: 2000, at: 2000) == .ask)
    }

    @Test func beforeTheFirstAnswerAuthIsAsked() {
        #expect(FeedState().verdict(on: "s", now: start) == .ask)
    }

    @Test func aFreshFeedDecides() {
        var feed = FeedState()
        feed.answered(["gone"], sequence: 7, asked: 0, now: start)
        #expect(feed.sequence == 7)
        #expect(feed.verdict(on: "gone", now: at(4.9)) == .revoked)
        #expect(feed.verdict(on: "other", now: at(4.9)) == .live)
    }

    @Test func aStaleFeedKnowsOnlyWhatItSaw() {
        var feed = FeedState()
        feed.answered(["gone"], sequence: 7, asked: 0, now: start)
        #expect(feed.verdict(on: "other", now: at(5)) == .ask)
        #expect(feed.verdict(on: "gone", now: at(500)) == .revoked)
        feed.answered([], sequence: 7, asked: 7, now: at(500))
        #expect(feed.verdict(on: "other", now: at(501)) == .live)
    }

    @Test func anotherDatabaseIsReadFromItsStart() {
        var feed = FeedState()
        feed.answered(["a"], sequence: 100, asked: 0, now: start)
        feed.answered(["b"], sequence: 3, asked: 100, now: at(1))
        #expect(feed.sequence == 0)
        #expect(feed.verdict(on: "other", now: at(1)) == .ask)
        #expect(feed.verdict(on: "b", now: at(1)) == .revoked)
        feed.answered(["b"], sequence: 3, asked: 0, now: at(2))
        #expect(feed.verdict(on: "other", now: at(2)) == .live)
    }

    @Test func aPageOfManySaysNothingOfTheRest() {
        var feed = FeedState()
        let page = (0..<FeedState.pageSize).map { "s\($0)" }
        feed.answered(page, sequence: 1000, asked: 0, now: start)
        #expect(feed.verdict(on: "other", now: start) == .ask)
        #expect(feed.verdict(on: "s5", now: start) == .revoked)
        feed.answered(["last"], sequence: 1001, asked: 1000, now: start)
        #expect(feed.verdict(on: "other", now: start) == .live)
    }

    /// Whatever life auth gives its tokens, an ended session never comes back to life.
    @Test func anEndedSessionIsRememberedAsLongAsItsLongestToken() {
        var feed = FeedState()
        feed.answered(["gone"], sequence: 1, asked: 0, now: start)
        for second in stride(from: 0.0, through: 3659, by: 2) {
            feed.answered([], sequence: 1, asked: 1, now: at(second))
        }
        #expect(feed.verdict(on: "gone", now: at(3659)) == .revoked)
        #expect(RevocationBook.skew == .seconds(TokenVerifier.maximumSkew))
    }

    @Test func theBookForgetsWhatNoTokenCanName() {
        var book = RevocationBook()
        book.note(["old"], now: start)
        book.note([], now: start.advanced(by: RevocationBook.memory - .seconds(1)))
        #expect(book.contains("old"))
        book.note(["new"], now: start.advanced(by: RevocationBook.memory * 1.1))
        #expect(!book.contains("old"))
        #expect(book.contains("new"))
    }

    @Test func aFullBookSaysThatItIsNotWhole() {
        var feed = FeedState(capacity: 3)
        feed.answered(["a", "b", "c", "d"], sequence: 4, asked: 0, now: start)
        #expect(feed.book.count == 3)
        #expect(feed.verdict(on: "d", now: start) == .ask)
        #expect(feed.verdict(on: "a", now: start) == .revoked)
        let later = start.advanced(by: RevocationBook.memory)
        feed.answered([], sequence: 4, asked: 4, now: later)
        #expect(feed.verdict(on: "e", now: later) == .live)
    }

    @Test func whoeverCannotBeAskedIsRefused() async throws {
        struct Gone: Error {}
        let gone = Revocations { _, _, _ in throw Gone() }
        await #expect(throws: Problem.cannotCheckToken) {
            try await gone.check(grant("s"), requestID: "r", time: time)
        }
        let live = Revocations { session, _, _ in session == "live" }
        try await live.check(grant("live"), requestID: "r", time: time)
        await #expect(throws: Problem.revokedSession) {
            try await live.check(grant("dead"), requestID: "r", time: time)
        }
    }
}
