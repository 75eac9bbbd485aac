/// Identity tokens that one connection has already seen verified, so that a signature is checked once.
///
/// Bounded in number and in age: an entry lives no longer than its token, and `maximumAge` when nobody says how long
/// that is.
package struct UserTokenCache: Sendable {
    /// Tokens remembered for one connection; the next one empties the cache.
    package static let capacity = 256
    /// How long a verdict holds when the token's own end is not known.
    package static let maximumAge = Duration.seconds(5)

    private struct Entry {
        let user: UserIdentity
        let validUntil: MonotonicInstant
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    package var count: Int { entries.count }

    /// The user that `token` names, from memory or from `verifier`.
    ///
    /// - Throws: `RPCError` UNAUTHENTICATED, not processed, when the token does not verify.
    package mutating func user(
        of token: String, verifier: any UserIdentityVerifier, now: MonotonicInstant
    ) throws(RPCError) -> UserIdentity {
        if let entry = entries[token], entry.validUntil > now { return entry.user }
        let user = try Self.verify(token, verifier)
        remember(user, as: token, now: now)
        return user
    }

    private static func verify(
        _ token: String, _ verifier: any UserIdentityVerifier
    ) throws(RPCError) -> UserIdentity {
        do {
            return try verifier.verify(token: token)
        } catch {
            throw RPCError(
                .unauthenticated, "The user's identity token is not valid.", reason: "unauthenticated", processed: .no)
        }
    }

    private mutating func remember(_ user: UserIdentity, as token: String, now: MonotonicInstant) {
        if entries.count >= Self.capacity { entries.removeAll(keepingCapacity: true) }
        let limit = now.advanced(by: Self.maximumAge)
        entries[token] = Entry(user: user, validUntil: user.validUntil ?? limit)
    }
}
