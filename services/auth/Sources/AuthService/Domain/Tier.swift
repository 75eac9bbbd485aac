internal import SQL

/// What a user pays for, as far as auth cares: how many sessions they may have at once.
enum Tier: String, Sendable, CaseIterable, SQLValue {
    case basic
    case essential
    case plus
    case premium
    case pro

    /// Live sessions of one user; nil for as many as they like.
    var sessions: Int? {
        switch self {
        case .basic: 2
        case .essential: 3
        case .plus: 5
        case .premium: 10
        case .pro: nil
        }
    }
}

extension AuthPolicy {
    /// Live sessions of a user; nil for as many as they like.
    ///
    /// - Parameter tier: nil for an account without one.
    func sessionLimit(_ tier: Tier?) -> Int? { tier.map(\.sessions) ?? sessionsPerUser }
}
