import RPCCore
import Synchronization

/// Asks auth whether one session is live, for a user's request.
package typealias SessionCheck = @Sendable (
    _ session: String, _ requestID: String, _ user: AuthenticatedUser?
) async throws -> Bool

/// Whether sessions are live: from the feed while it is fresh, from auth while it is not, refused when neither speaks.
package final class Revocations: Sendable {
    private let state: Mutex<FeedState>
    private let ask: SessionCheck

    package init(capacity: Int = RevocationBook.defaultCapacity, ask: @escaping SessionCheck) {
        self.state = Mutex(FeedState(capacity: capacity))
        self.ask = ask
    }

    package func isFresh(now: ContinuousClock.Instant) -> Bool { state.withLock { $0.isFresh(now: now) } }

    /// What to ask the feed after.
    package var sequence: Int64 { state.withLock { $0.sequence } }

    package func answered(
        _ sessions: [String], raises: [RaisedVersion] = [], sequence: Int64, asked: Int64, now: ContinuousClock.Instant
    ) {
        state.withLock { $0.answered(sessions, raises: raises, sequence: sequence, asked: asked, now: now) }
    }

    /// - Throws: `Problem` 401 for an ended session, 503 when nobody can tell.
    package func check(
        _ grant: AccessGrant, requestID: String, user: AuthenticatedUser? = nil, time: RequestTime
    ) async throws(Problem) {
        switch state.withLock({ $0.verdict(on: grant, time) }) {
        case .live: return
        case .revoked: throw .revokedSession
        case .ask: break
        }
        guard let isLive = try? await ask(grant.sessionID, requestID, user) else { throw .cannotCheckToken }
        guard isLive else { throw .revokedSession }
    }
}
