package import RPCCore
import Synchronization

/// Signs the short-lived token that tells services who the user is.
package protocol UserTokenSigning: Sendable {
    /// - Parameter lane: The most urgent one that services may grant to calls that bring the token.
    func sign(_ grant: AccessGrant, lane: Lane, lifetime: Duration) throws -> String
}

/// The signed identities of users, one for each session and lane, kept until near their end so that most requests need
/// no signature, and services verify each of them once.
package final class IdentityTokens: Sendable {
    /// Life of a signed identity: what services accept at most.
    package static let lifetime = Duration.seconds(60)
    /// What a token must still have ahead of it: longer than any deadline on the way to a service's clock.
    package static let margin = Duration.seconds(30)
    /// Sessions remembered, with their lanes; the next one empties the table.
    package static let capacity = 65_536

    private struct Key: Hashable {
        let session: String
        let lane: Lane
    }

    private struct Entry {
        let grant: AccessGrant
        let token: String
        let validUntil: ContinuousClock.Instant
    }

    private let signer: any UserTokenSigning
    private let entries = Mutex<[Key: Entry]>([:])

    package init(signer: any UserTokenSigning) { self.signer = signer }

    /// A token for the user of `grant` that lives at least `margin` longer.
    package func token(for grant: AccessGrant, lane: Lane, now: ContinuousClock.Instant) throws -> String {
        let key = Key(session: grant.sessionID, lane: lane)
        if let token = cached(grant, key, now: now) { return token }
        let token = try signer.sign(grant, lane: lane, lifetime: Self.lifetime)
        let entry = Entry(grant: grant, token: token, validUntil: now.advanced(by: Self.lifetime - Self.margin))
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries.removeAll(keepingCapacity: true) }
            entries[key] = entry
        }
        return token
    }

    private func cached(_ grant: AccessGrant, _ key: Key, now: ContinuousClock.Instant) -> String? {
        let entry = entries.withLock { $0[key] }
        guard let entry, now < entry.validUntil, entry.grant.names(grant) else { return nil }
        return entry.token
    }
}

extension AccessGrant {
    /// Whether both name the same user with the same rights, whichever access token said so.
    fileprivate func names(_ other: AccessGrant) -> Bool {
        subject == other.subject && sessionID == other.sessionID && roles == other.roles
    }
}
