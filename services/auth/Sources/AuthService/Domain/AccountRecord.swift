internal import Contracts
internal import RPCCore

/// Who changes somebody else's account.
enum Actor: Sendable, Hashable {
    /// A user with the role for it.
    case admin(String)
    /// A machine client with the scope for it.
    case client(String)
    /// Whoever holds the operator's certificate.
    case `operator`

    var userID: String? {
        guard case .admin(let id) = self else { return nil }
        return id
    }

    /// What the audit trail says of who is no user.
    var word: String? {
        switch self {
        case .admin: nil
        case .client(let id): id
        case .operator: "operator"
        }
    }
}

/// The roles that mean something: those that the contract asks for.
enum Role {
    static let admin = "admin"
    /// Everybody has it; it is neither given nor taken.
    static let everybody = AuthPolicy.initialRoles

    static let grantable: Set<String> = {
        var roles: Set<String> = []
        for method in Contract.codings.map(\.descriptor) {
            if case .admin(let names) = method.exposure { roles.formUnion(names) }
            roles.formUnion(method.emergencyRoles)
        }
        return roles.subtracting([everybody])
    }()

    /// - Throws: `AuthError.unknownRole` with those that there are, for a word that no method asks for.
    static func check(_ role: String, field: String = "role") throws {
        guard grantable.contains(role) else { throw AuthError.unknownRole(field: field, known: grantable.sorted()) }
    }
}

/// An account as an admin sees it.
struct AccountRecord: Sendable, Hashable {
    let user: User
    let roles: [String]
    let isDisabled: Bool
    let hasSecondFactor: Bool
    let passkeys: Int
    let tier: Tier?
    let liveSessions: Int
    let lastSignInAt: Timestamp?
}

/// Which accounts an admin looks for.
struct AccountSearch: Sendable, Hashable {
    /// Part of the address or the name, in lower case, or a whole id; empty for everybody.
    var query = ""
    var role = ""
    var isDisabled = false
    /// Rows in the answer.
    var limit = Page.standard
    /// The id of the last account of the page before; empty for the first page.
    var after = ""

    /// As LIKE takes it, with `!` before what would be a wildcard.
    var pattern: String { "%" + Self.escaped(query) + "%" }
    var rolePattern: String { role.isEmpty ? "%" : "% " + Self.escaped(role) + " %" }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            if "%_!".contains(character) { result.append("!") }
            result.append(character)
        }
    }
}

/// A row of the audit trail.
struct AuditRecord: Sendable, Hashable {
    let id: String
    let at: Timestamp
    let event: String
    let subject: String?
    let actor: String?
    let detail: String
    let sessionID: String?
    let requestID: String
    let address: String
    let userAgent: String
}

/// Which rows of the audit trail are wanted.
struct AuditSearch: Sendable, Hashable {
    /// Of one user; nil for all.
    var userID: String?
    /// Empty for all.
    var event = ""
    var since = Timestamp(microseconds: 0)
    var until = Timestamp(microseconds: .max)
    var limit = Page.standard
    /// The id of the last row of the page before; empty for the first page.
    var after = ""
}

/// Pieces of a long answer.
enum Page {
    static let standard = 50
    static let largest = 100

    /// - Parameter asked: 0 for the standard.
    static func size(_ asked: UInt32) -> Int { asked == 0 ? standard : min(Int(asked), largest) }
}
