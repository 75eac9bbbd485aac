internal import LibCrypto
internal import ServiceKit

/// A program with credentials of its own, which is no user.
struct MachineClient: Sendable, Hashable {
    let id: String
    let name: String
    /// Roles of the contract.
    let scopes: [String]
    let createdAt: Timestamp
    let liveSecrets: Int
    let lastUsedAt: Timestamp?
}

/// A client whose secret was right, and by which one it was.
struct AuthenticatedClient: Sendable, Hashable {
    let id: String
    let scopes: [String]
    let secretID: String
}

/// A token for a client: its row, without the token.
struct ClientToken: Sendable {
    let id: String
    let client: AuthenticatedClient
    let expiresAt: Timestamp
}

/// How many wrong secrets of a client are written down. Nobody guesses 256 bits; this keeps whoever tries from filling the
/// audit trail.
///
/// | wrong secrets in a row for one client from one network | a wrong secret from there | the right one |
/// |---|---|---|
/// | each `burst` | is refused without a trace for `pause` after the last | is good |
/// | otherwise | is refused, counted and audited | is good, and sets the count to 0 |
///
/// Counted by network; ids that no client has are counted, too.
enum ClientGuessLimit {
    static let burst = 20
    static let pause: Duration = .seconds(900)

    static func subject(client: String, network: String) throws -> String {
        "client:" + (try SHA256.hexHash(Array("\(client) \(network)".utf8)))
    }
}

/// The scopes of a token.
enum Scopes {
    /// - Parameter asked: Words with spaces between them (RFC 6749, section 3.3); empty for all that the client has.
    /// - Throws: `AuthError.invalidScope`.
    static func granted(_ asked: String, of client: AuthenticatedClient) throws -> [String] {
        let asked = asked.roleList
        guard !asked.isEmpty else { return client.scopes }
        guard asked.allSatisfy(client.scopes.contains) else { throw AuthError.invalidScope }
        return client.scopes.filter(asked.contains)
    }
}
