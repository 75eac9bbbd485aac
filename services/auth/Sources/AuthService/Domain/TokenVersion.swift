/// Whose sessions end when a minimum token version is raised.
enum TokenVersionScope: Sendable, Hashable {
    case everyone
    case user(String)

    var userID: String? {
        guard case .user(let id) = self else { return nil }
        return id
    }
}

/// A minimum that was raised: sessions that were begun under a lower version are over from `effectiveAt` on.
struct RaisedTokenVersion: Sendable, Hashable {
    let version: Int64
    let effectiveAt: Timestamp
}

/// When a session is live, as a condition on a row `s` of sessions, with `:now` and `:idle` (see
/// `AuthPolicy.idleLimit`).
///
/// A session is begun under the newest version that there is, of whoever that was raised for. So whoever signs in after
/// a raise, even while its grace runs, is never below any minimum.
enum LiveSession {
    static let condition = "s.revoked_at IS NULL AND s.expires_at > :now AND NOT \(isOver)"

    /// What ends a session without a word of its own in its row.
    static let isOver = """
        (s.last_used_at <= :idle OR EXISTS (
            SELECT 1 FROM minimum_versions m
            WHERE m.version > s.token_version AND m.effective_at <= :now
                AND (m.user_id IS NULL OR m.user_id = s.user_id)))
        """
}
