internal import LibCrypto

/// A row of the audit trail as the chain holds it: all of it but what is personal and plain, which may be forgotten.
struct SealedRow: Sendable {
    let id: String
    let at: Timestamp
    let event: String
    let subject: String?
    let actor: String?
    let detail: String
    let sessionID: String?
    let requestID: String
    let mailed: Int64
    let sealedFor: String?
    let sealed: [UInt8]?

    /// SHA-256 over each field.
    var digest: [UInt8] {
        get throws {
            try SHA256.hash(
                AuditChainLink.bytes(of: [
                    Array(id.utf8), AuditChainLink.bytes(at.microseconds), Array(event.utf8), subject.map { Array($0.utf8) },
                    actor.map { Array($0.utf8) }, Array(detail.utf8), sessionID.map { Array($0.utf8) }, Array(requestID.utf8),
                    AuditChainLink.bytes(mailed), sealedFor.map { Array($0.utf8) }, sealed,
                ]))
        }
    }

    /// As the chain keeps it.
    ///
    /// - Parameter forgotten: words of what anybody can cause, whose entries name nobody.
    func entry(forgotten: Set<String>) throws -> AuditChainEntry {
        AuditChainEntry(
            eventID: id, at: at, event: event, subject: forgotten.contains(event) ? nil : subject ?? actor, digest: try digest)
    }
}

/// An entry of the chain, but for its place.
struct AuditChainEntry: Sendable, Hashable {
    let eventID: String
    let at: Timestamp
    let event: String
    let subject: String?
    let digest: [UInt8]
}

/// Where the chain stands.
package struct AuditChainLink: Sendable, Hashable {
    package var position: Int64
    package var hash: [UInt8]

    package init(position: Int64, hash: [UInt8]) {
        self.position = position
        self.hash = hash
    }

    static let beginning = AuditChainLink(position: 0, hash: [UInt8](repeating: 0, count: 32))

    /// - Returns: Where the chain stands with one entry more.
    func next(_ entry: AuditChainEntry) throws -> AuditChainLink {
        let position = position + 1
        let fields = Self.bytes(of: [
            Array(entry.eventID.utf8), Self.bytes(entry.at.microseconds), Array(entry.event.utf8),
            entry.subject.map { Array($0.utf8) }, entry.digest,
        ])
        return AuditChainLink(position: position, hash: try SHA256.hash(hash + Self.bytes(position) + fields))
    }

    /// Each field with its length, so that no two lists have one text.
    static func bytes(of fields: [[UInt8]?]) -> [UInt8] {
        fields.reduce(into: []) { bytes, field in
            guard let field else { return bytes.append(0) }
            bytes.append(1)
            bytes += Self.bytes(Int64(field.count)) + field
        }
    }

    static func bytes(_ number: Int64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}

/// What the check of an audit trail found.
package struct AuditTrailReport: Sendable {
    /// Entries of the chain.
    package var entries = 0
    /// Of those, whose row was forgotten in its time.
    package var forgotten = 0
    /// Rows that wait for the sealer.
    package var waiting = 0
    /// The last entry, to be kept elsewhere: nothing here shows that the end was cut off, or the whole written anew.
    package var head = AuditChainLink.beginning
    /// The first that were found, in words.
    package var problems: [String] = []

    package var isWhole: Bool { problems.isEmpty }
    /// Of more problems the rest is left untold.
    static let mostProblems = 20

    mutating func report(_ problem: String) {
        if problems.count < Self.mostProblems { problems.append(problem) }
    }
}
