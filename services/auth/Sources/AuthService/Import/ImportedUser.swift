internal import FoundationEssentials
internal import RPCCore
internal import SQL

/// One line of an import: `{"email": "...", "password_hash": "$2b$12$...", "name": "...", "email_verified": true,
/// "created_at_us": 1700000000000000}`; the last three may be missing. Without `email_verified` the address counts as one that
/// nobody has confirmed.
package struct ImportedUser: Sendable {
    package let email: EmailAddress
    let name: PersonName
    let passwordHash: String
    let isVerified: Bool
    let createdAt: Int64?

    private struct Line: Decodable {
        let email: String
        let name: String?
        let password_hash: String?
        let email_verified: Bool?
        let created_at_us: Int64?
    }

    /// Why a line is no user; never with what it holds.
    package enum Problem: String, Error, Sendable, CaseIterable {
        case notJSON = "not a JSON object with an email"
        case email = "the address is not valid"
        case name = "the name is not valid"
        case hash = "the password hash is not bcrypt ($2a$, $2b$ or $2y$, of 4 to 16 rounds)"
    }

    package init(json: ArraySlice<UInt8>) throws(Problem) {
        guard let line = try? JSONDecoder().decode(Line.self, from: Data(json)) else { throw .notJSON }
        guard let email = try? EmailAddress(line.email) else { throw .email }
        guard let name = try? PersonName(line.name ?? "") else { throw .name }
        guard let hash = line.password_hash, Self.isBcrypt(hash) else { throw .hash }
        self.email = email
        self.name = name
        passwordHash = hash
        isVerified = line.email_verified ?? false
        createdAt = line.created_at_us
    }

    /// As Encryption takes it: a variant, two digits of rounds from 04 to 16, 53 characters. It refuses others each time.
    private static func isBcrypt(_ hash: String) -> Bool {
        let parts = hash.utf8.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0].isEmpty && ["2a", "2b", "2y"].contains(Substring(parts[1])) && parts[2].count == 2
            && parts[2].allSatisfy { $0 >= 0x30 && $0 <= 0x39 } && Int(Substring(parts[2])).map((4...16).contains) == true
            && parts[3].count == 53
            && parts[3].allSatisfy { ($0 >= 0x2e && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a) }
    }
}

/// What became of some lines of an import.
package struct ImportedCount: Sendable, Equatable {
    package var added = 0
    /// Of those, whose address the file does not call confirmed: they sign in after they have confirmed it here.
    package var unconfirmed = 0

    package init(added: Int = 0, unconfirmed: Int = 0) {
        self.added = added
        self.unconfirmed = unconfirmed
    }
}

extension AuthStore {
    /// Adds accounts, with a row of the audit trail, in one transaction; addresses that have one are left as they are.
    ///
    /// - Parameters:
    ///   - users: some thousands. Of several with one address the first counts.
    ///   - source: what they come from, for the audit trail: a digest of the file.
    package func importUsers(_ users: [ImportedUser], from source: String) async throws -> ImportedCount {
        let now = clock.now
        // In the order of addresses, so that two batches with the same ones seldom wait for each other in a circle. They may, since
        // the unconfirmed go in before the others: the database ends one then, which is run again.
        let unique = Dictionary(users.map { ($0.email.text, $0) }) { first, _ in first }.values.sorted {
            $0.email.text < $1.email.text
        }
        func rows(_ users: some Sequence<ImportedUser>) throws -> [[Value]] { try users.map { try $0.row(at: now.microseconds) } }
        let (confirmed, unconfirmed) = (try rows(unique.filter(\.isVerified)), try rows(unique.filter { !$0.isVerified }))
        let origin = Origin(address: "", userAgent: "lockstep import", requestID: RequestID.make())
        return try await write(isolation: .readCommitted) { transaction in
            var count = ImportedCount(unconfirmed: try transaction.insert(imported: unconfirmed))
            count.added = try transaction.insert(imported: confirmed) + count.unconfirmed
            guard count.added > 0 else { return count }
            let detail = "\(count.added) added, \(count.unconfirmed) of them unconfirmed; file \(source)"
            try transaction.audit(.usersImported, user: nil, by: .operator, detail: detail, Change(at: now, origin: origin))
            return count
        }
    }
}

extension ImportedUser {
    fileprivate static let columns = [
        "id", "pseudonym", "email", "name", "roles", "password_hash", "claims", "email_verified_at", "created_at", "updated_at",
        "imported_at",
    ]

    fileprivate func row(at now: Int64) throws -> [Value] {
        let created = createdAt ?? now
        return [
            .text(try Identifier.user.make()), .text(try Identifier.pseudonym.make()), .text(email.text), .text(name.text),
            .text(AuthPolicy.initialRoles), .text(passwordHash), .integer(1), isVerified ? .integer(created) : .null,
            .integer(created), .integer(now), .integer(now),
        ]
    }
}

extension Transaction {
    fileprivate func insert(imported rows: [[Value]]) throws -> Int {
        try insert(into: "users", columns: ImportedUser.columns, rows: rows, unlessKnownBy: "email")
    }
}
