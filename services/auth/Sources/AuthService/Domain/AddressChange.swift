/// What became of a change of address when one of its links was followed.
enum AddressChangeProgress: String, Sendable {
    /// The other address has not confirmed it yet.
    case waiting
    case changed
}

/// A change of address that not both addresses have confirmed.
struct WaitingAddressChange: Sendable, Hashable {
    let email: String
    /// By the present address.
    let isApproved: Bool
    /// By the new one.
    let isConfirmed: Bool
    let expiresAt: Timestamp
}

/// A program that a user has signed in with lately: the digest of its name for itself.
struct KnownAgent: Sendable, Hashable {
    let hash: [UInt8]
    let signIns: Int64
    let lastSeenAt: Timestamp
}

/// Everything that auth keeps of a user and can tell them.
struct UserData: Sendable {
    let account: AccountRecord
    let tier: Tier?
    let sessions: [Session]
    let factors: [Factor]
    let passkeys: [StoredPasskey]
    let knownAgents: [KnownAgent]
    let addressChange: WaitingAddressChange?
    /// Newest first; more are in the audit trail.
    let events: [AuditRecord]
    let search: AuditSearch
}
