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

    /// Over each field with its length, so that no two rows have one text.
    var digest: [UInt8] {
        get throws {
            var bytes: [UInt8] = []
            for field in [
                Array(id.utf8), AuditChainLink.bytes(at.microseconds), Array(event.utf8), subject.map { Array($0.utf8) },
                actor.map { Array($0.utf8) }, Array(detail.utf8), sessionID.map { Array($0.utf8) }, Array(requestID.utf8),
                AuditChainLink.bytes(mailed), sealedFor.map { Array($0.utf8) }, sealed,
            ] as [[UInt8]?] {
                guard let field else {
                    bytes.append(0)
                    continue
                }
                bytes.append(1)
                bytes += AuditChainLink.bytes(Int64(field.count)) + field
            }
            return try SHA256.hash(bytes)
        }
    }
}

/// Where the chain stands.
struct AuditChainLink: Sendable, Hashable {
    var position: Int64
    var hash: [UInt8]

    static let beginning = AuditChainLink(position: 0, hash: [UInt8](repeating: 0, count: 32))

    func next(_ digest: [UInt8]) throws -> AuditChainLink {
        let position = position + 1
        return AuditChainLink(position: position, hash: try SHA256.hash(hash + Self.bytes(position) + digest))
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
    /// Of the last entry, lower-case hex: to be kept elsewhere, since nothing here shows that the end was cut off.
    package var head = ""
    /// The first that were found, in words.
    package var problems: [String] = []

    package var isWhole: Bool { problems.isEmpty }
    /// Of more problems the rest is left untold.
    static let mostProblems = 20

    mutating func report(_ problem: String) {
        if problems.count < Self.mostProblems { problems.append(problem) }
    }
}
