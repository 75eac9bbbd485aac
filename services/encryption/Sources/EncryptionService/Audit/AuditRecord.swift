import FoundationEssentials
import LibCrypto

/// Where an audit log stands: its last record's number, and that record's hash.
package struct AuditHead: Sendable, Hashable {
    package static let hashCount = SHA256.count
    /// Of a log without records.
    package static let none = AuditHead(sequence: 0, hash: [UInt8](repeating: 0, count: hashCount))

    /// From 1, without gaps, through all files of a log.
    package let sequence: UInt64
    /// SHA-256 of the record's text.
    package let hash: [UInt8]

    package init(sequence: UInt64, hash: [UInt8]) {
        self.sequence = sequence
        self.hash = hash
    }
}

/// What is told of one act of key administration, or of one use of a key. Never a secret.
package struct AuditEntry: Sendable, Hashable {
    /// `ROTATE`, `DISABLE`, ...
    package var action: String
    /// The key's name; empty for what concerns the log itself.
    package var key: String
    /// Who asked: a service's name, or `keyring` for what the keyring thread does by itself.
    package var actor: String
    /// The call that asked; empty when none did.
    package var requestID: String
    /// What else is to be known, in words: `version 3`.
    package var detail: String
    /// When it happened, in microseconds since 1970; nil for when it is written.
    package var time: Int64?

    package init(action: String, key: String = "", actor: String, requestID: String = "", detail: String = "") {
        self.action = action
        self.key = key
        self.actor = actor
        self.requestID = requestID
        self.detail = detail
    }
}

extension AuditEntry {
    /// The first of a file that goes on where another one ended.
    static let begin = "BEGIN"
    /// Takes back changes that were told of and then not done.
    static let notDone = "NOT_DONE"
    /// The log could not be written for a while.
    static let resume = "RESUME"
    /// Uses that are not listed one by one.
    static let countedUses = "USES_COUNTED"

    /// - Parameter records: The numbers of those that told of it.
    static func notDone(_ records: [UInt64]) -> AuditEntry {
        let numbers = records.map(String.init).joined(separator: ", ")
        return AuditEntry(action: notDone, actor: KeyActor.keyring.name, detail: "did not take effect: record \(numbers)")
    }

    /// - Parameter detail: Which master keys there are then.
    static func masterKeys(_ detail: String, by actor: String) -> AuditEntry {
        AuditEntry(action: "MASTER_KEY", actor: actor, detail: detail)
    }

    /// The first entry of a log whose records up to `head` are elsewhere.
    static func beginning(after head: AuditHead) -> AuditEntry {
        AuditEntry(action: begin, actor: "configuration", detail: "records 1 to \(head.sequence) are in other files")
    }

    /// Whether it tells of a change of a key, which a keyring that does not know of it did not make.
    var isChange: Bool { KeyChange.actions.contains(action) }
}

/// One line of the log: 64 hexadecimal digits, a space, a JSON object. The digits are the SHA-256 of the object's bytes, and
/// the object holds the digits of the line before it, so `cut -c66- | head -c -1 | sha256sum` checks a line without us.
package struct AuditRecord: Sendable, Hashable {
    package let entry: AuditEntry
    /// Microseconds since 1970.
    package let time: Int64
    package let sequence: UInt64
    /// The hash of the record before this one.
    package let previous: [UInt8]
    package let hash: [UInt8]

    package var head: AuditHead { AuditHead(sequence: sequence, hash: hash) }

    /// A record, and its line with its end.
    package typealias Line = (record: AuditRecord, line: [UInt8])

    private struct Object: Codable {
        var action: String
        var actor: String
        var at: String
        var detail: String
        var key: String
        var previous: String
        var request_id: String
        var sequence: UInt64
        var time_us: Int64
    }

    /// The record that follows `head`, and its line, with its end.
    package static func next(_ entry: AuditEntry, after head: AuditHead, time: Int64) throws -> Line {
        guard head.sequence < .max else { throw AuditDamage("there is no number after \(head.sequence)") }
        let object = Object(
            action: entry.action, actor: entry.actor, at: text(of: time), detail: entry.detail, key: entry.key,
            previous: Hex.encode(head.hash), request_id: entry.requestID, sequence: head.sequence + 1, time_us: time)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let json = Array(try encoder.encode(object))
        let hash = try SHA256.hash(json)
        let line = Array((Hex.encode(hash) + " ").utf8) + json
        return (try AuditRecord(line: line), line + [UInt8(ascii: "\n")])
    }

    /// The records of these entries, one after the other.
    static func lines(_ entries: [AuditEntry], after head: AuditHead, time: Int64) throws -> [Line] {
        var lines: [Line] = []
        for entry in entries { lines.append(try next(entry, after: lines.last?.record.head ?? head, time: time)) }
        return lines
    }

    /// The record of a line without its end.
    ///
    /// - Throws: `AuditDamage` that says what is wrong with it.
    package init(line: some Collection<UInt8>) throws(AuditDamage) {
        let bytes = Array(line)
        let digits = 2 * AuditHead.hashCount
        guard bytes.count > digits + 1, bytes[digits] == UInt8(ascii: " "),
            let hash = Hex.decode(String(decoding: bytes[..<digits], as: UTF8.self))
        else { throw AuditDamage("it is no record") }
        let json = bytes[(digits + 1)...]
        guard let real = try? SHA256.hash(json), constantTimeEqual(real, hash) else {
            throw AuditDamage("its hash is not that of its text")
        }
        guard let object = try? JSONDecoder().decode(Object.self, from: Data(json)),
            let previous = Hex.decode(object.previous), previous.count == AuditHead.hashCount, object.sequence > 0
        else { throw AuditDamage("it is no record") }
        self.hash = hash
        self.previous = previous
        sequence = object.sequence
        time = object.time_us
        entry = AuditEntry(
            action: object.action, key: object.key, actor: object.actor, requestID: object.request_id,
            detail: object.detail)
    }

    /// `2026-11-21T18:08:27Z`
    static func text(of time: Int64) -> String {
        Date(timeIntervalSince1970: Double(time / 1_000_000)).ISO8601Format()
    }
}

/// What is wrong with a line, as it follows "line 7: ".
package struct AuditDamage: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// The chain of records, followed line by line.
package struct AuditChain: Sendable {
    /// The first record's number; 0 when there is none.
    package private(set) var first: UInt64 = 0
    /// Where it stands.
    package private(set) var head: AuditHead?
    /// Times are as the clock had them, which may go back; kept for whoever asks.
    package private(set) var lastTime: Int64 = 0

    /// - Parameter head: What the first record must follow; nil takes any.
    package init(after head: AuditHead? = nil) { self.head = head }

    /// Takes the next line, without its end.
    ///
    /// - Returns: Its record.
    @discardableResult
    package mutating func take(_ line: some Collection<UInt8>) throws(AuditDamage) -> AuditRecord {
        let record = try AuditRecord(line: line)
        if head == nil, record.sequence == 1 {
            guard record.previous == AuditHead.none.hash else { throw AuditDamage("it is not the first record of a log") }
        }
        if let head {
            guard head.sequence < .max else { throw AuditDamage("there is no number after \(head.sequence)") }
            guard record.sequence == head.sequence + 1 else {
                throw AuditDamage("its number is \(record.sequence), and \(head.sequence + 1) is next: records are missing or moved")
            }
            guard record.previous == head.hash else {
                throw AuditDamage("it does not follow the record before it, which was changed or replaced")
            }
        }
        if first == 0 { first = record.sequence }
        head = record.head
        lastTime = record.time
        return record
    }
}
