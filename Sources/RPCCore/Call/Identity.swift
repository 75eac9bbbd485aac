/// Who is at the other end of a connection, as its certificate says.
package struct PeerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// Elsewhere, in one place: every call of a connection holds its peer.
    private indirect enum Names: Sendable, Hashable {
        case names(uri: String, service: String)
    }

    private let names: Names

    /// The certificate's SAN URI, `spiffe://lockstep.local/service/auth`.
    package var uri: String { switch names { case .names(let uri, _): uri } }
    /// The service's name, `auth`: the last part of the URI.
    package var service: String { switch names { case .names(_, let service): service } }

    /// The trust domain and path under which services are named.
    package static let prefix = "spiffe://lockstep.local/service/"

    /// Nil unless the URI is the prefix and one name of `[a-z0-9-]`, 1 to 32 bytes.
    package init?(uri: String) {
        guard uri.hasPrefix(Self.prefix) else { return nil }
        let name = uri.dropFirst(Self.prefix.count)
        guard (1...32).contains(name.utf8.count), name.utf8.allSatisfy(Self.isNameByte) else { return nil }
        self.names = .names(uri: uri, service: String(name))
    }

    /// The identity of the service of that name; nil when it is no name.
    package init?(service: String) { self.init(uri: Self.prefix + service) }

    package var description: String { service }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
    }
}

/// The end user on whose behalf a call runs: what the gateway verified and signed.
package struct UserIdentity: Sendable, Hashable {
    /// The user's id, `usr_…`.
    package let subject: String
    package let sessionID: String
    package let roles: [String]
    /// The most urgent lane that the gateway granted.
    package let lane: Lane
    /// When the token that said so ends; nil when nobody knows.
    package let validUntil: MonotonicInstant?

    package init(
        subject: String, sessionID: String, roles: [String], lane: Lane, validUntil: MonotonicInstant? = nil
    ) {
        self.subject = subject
        self.sessionID = sessionID
        self.roles = roles
        self.lane = lane
        self.validUntil = validUntil
    }
}

/// Checks the signed identity token that the gateway sends and services forward unchanged.
package protocol UserIdentityVerifier: Sendable {
    /// - Throws: `RPCError` UNAUTHENTICATED when the token is malformed, expired, foreign or not the gateway's.
    func verify(token: String) throws -> UserIdentity
}

/// Two lanes: emergency work takes the next free worker and owns a share of every queue.
package enum Lane: UInt8, Sendable, Hashable {
    case routine = 0
    case emergency = 1
}

/// Where the outside client is and what it calls itself. Personal data: for sessions and audit rows, never for logs.
/// Believed only from the gateway.
package struct ClientOrigin: Sendable, Hashable {
    package var address: String
    package var userAgent: String

    package init(address: String = "", userAgent: String = "") {
        self.address = address
        self.userAgent = userAgent
    }
}
