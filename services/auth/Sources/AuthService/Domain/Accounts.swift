internal import ServiceKit

/// An account as its owner sees it.
package struct User: Sendable, Hashable {
    package let id: String
    package let email: String
    package let name: String
    package let emailVerified: Bool
    package let createdAt: Timestamp
}

/// What sign-in needs to know of an account.
struct Credentials: Sendable {
    let userID: String
    /// nil while no password is good: the present one counts only beside a second factor, and there is none.
    let passwordHash: Redacted<String>?
    let emailVerified: Bool
    let roles: String
    let isDisabled: Bool
    let hasSecondFactor: Bool
    let words: [String]
}

/// A password that was chosen and may be.
struct NewPassword: Sendable {
    let hash: Redacted<String>
    /// The characters of one that is enough by itself, where this one has fewer and is good only beside a second factor
    /// (NIST SP 800-63B-4, 3.1.1.2).
    let shortOf: Int?
}

/// A live session as its owner sees it.
package struct Session: Sendable, Hashable {
    package let id: String
    package let createdAt: Timestamp
    package let lastUsedAt: Timestamp
    package let userAgent: String
    package let address: String
    /// Of the last refresh; empty until then.
    package let lastAddress: String
    /// However often it is refreshed.
    package let expiresAt: Timestamp
    package let secondFactorAt: Timestamp?
}

/// One entry of the revocation feed: the end of a session, or a raised minimum token version.
package struct Revocation: Sendable, Hashable {
    package let sequence: Int64
    /// Empty for a raised version.
    package let sessionID: String
    package let revokedAt: Timestamp
    /// Whose sessions a raised version ends; nil with `isForEveryone` false for a session.
    package let userID: String?
    package let isForEveryone: Bool
    package let effectiveAt: Timestamp?
}

extension String {
    /// Roles are stored in one column, between spaces.
    var roleList: [String] { split(separator: " ").map(String.init) }
}
