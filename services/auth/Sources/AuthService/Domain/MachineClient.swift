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

/// How often a client's secret may be guessed. Nobody guesses 256 bits; this keeps whoever tries from the database.
///
/// | wrong secrets in a row for one client from one network | a secret from there |
/// |---|---|
/// | each `burst` | is refused for `pause` after the last |
/// | otherwise | is looked at |
///
/// Counted by network, so that a stranger closes nothing for the client itself; ids that no client has are counted, too.
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
