/// What is known of a refresh token's row and its session when the token is presented.
struct RefreshTokenState: Sendable {
    let sessionID: String
    let userID: String
    let roles: String
    let createdAt: Timestamp
    let rotatedAt: Timestamp?
    let sealedSuccessor: [UInt8]?
    let sessionExpiresAt: Timestamp
    let sessionRevokedAt: Timestamp?
    let authentication: Authentication
    /// Idle for too long, or begun under a token version that no longer counts.
    var isOver = false
}

/// The decision table of refresh (README, "Refresh"). Pure: the store looks up, this decides, the store writes.
enum RefreshDecision: Sendable, Equatable {
    /// The newest token of a live session: make the next one.
    case rotate
    /// Used before, within the grace: the answer was lost, or several tabs refresh at once. Give the same successor.
    case repeatSuccessor(sealed: [UInt8])
    /// Used before, outside the grace: somebody has a copy. End the family.
    case endFamily
    /// The session is over.
    case ended

    init(_ state: RefreshTokenState, now: Timestamp, grace: Duration) {
        guard state.sessionRevokedAt == nil, now < state.sessionExpiresAt, !state.isOver else {
            self = .ended
            return
        }
        guard let rotatedAt = state.rotatedAt else {
            self = .rotate
            return
        }
        if now <= rotatedAt + grace, let sealed = state.sealedSuccessor {
            self = .repeatSuccessor(sealed: sealed)
        } else {
            self = .endFamily
        }
    }
}
