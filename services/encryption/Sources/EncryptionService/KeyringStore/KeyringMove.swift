import Foundation
package import ServiceKit
import SQL

/// Moves a keyring and its audit log from their files into a database.
///
/// The file is renamed at the end, so that it is not taken for a keyring in use: two that seal with the same keys would each
/// count their own messages only. Whatever fails before leaves the file as it is, and the move can be made again.
package struct KeyringMove: Sendable {
    /// What was moved, and found to be the same in the database.
    package struct Report: Sendable, Hashable {
        package let keys: Int
        package let versions: Int
        /// Of the audit log.
        package let records: Int
        /// Where the file is now.
        package let file: String
    }

    /// As the audit log has it.
    private static let action = "MOVE"

    private let location: KeyringLocation
    private let maker = KeyMaker(publishLead: 0)

    /// - Parameter location: With the database.
    package init(_ location: KeyringLocation) { self.location = location }

    /// - Throws: `KeyringProblem`: `inUse` while a service runs on the file, `alreadyThere`, `movedOtherwise`.
    package func run(now: Int64) throws -> Report {
        guard let url = location.database else { throw KeyringProblem.unreachable(reason: "encryption.keyring.database is off") }
        let lock = try ProcessLock(location.lock)
        defer { lock.release() }
        guard let file = try PrivateFile.read(location.keyring, maximumCount: KeyringCodec.maximumCount) else {
            throw KeyringProblem.missing(path: location.keyring)
        }
        let masterKeys = try MasterKeys.open(location.masterKeySource, keyring: location.keyring, mayCreate: false)
        masterKeys.note(present: try KeyringCodec.masterKeyID(of: file, path: location.keyring))
        let codec = KeyringCodec(path: location.keyring, masterKeys: masterKeys, maker: maker)
        let keyring = try HighWater(path: location.reserves, codec: codec).raised(try codec.open(file))
        let old = try auditLog(known: keyring.audit)

        let database = try url.withExposed { try SQLKeyringStore.database($0) }
        defer { database.close() }
        if try SQLKeyringStore.holdsKeyring(database) {
            guard try isMoved(old, to: database) else { throw KeyringProblem.alreadyThere }
            return try report(keyring, records: old.count + 1)
        }
        let store = try SQLKeyringStore(database, codec: codec)
        let entry = AuditEntry(
            action: Self.action, actor: "operator", detail: "from a file into a database, \(keyring.count) keys")
        let told = try AuditRecord.lines([entry], after: old.last?.record.head ?? keyring.audit, time: now)
        let moved = keyring.changed(audit: told.last?.record.head) { _ in }
        do throws(KeyringProblem) {
            try store.create(moved, records: old + told)
        } catch {
            throw error == .superseded ? KeyringProblem.alreadyThere : error
        }
        guard let found = try store.load(otherThan: .max), try codec.isSame(found, moved),
            try SQLKeyringStore.auditCount(database) == old.count + told.count
        else { throw KeyringProblem.movedOtherwise(path: location.keyring) }
        return try report(moved, records: old.count + told.count)
    }

    /// Whether the database holds what an earlier call moved there, which ended before the file was renamed.
    private func isMoved(_ old: [AuditRecord.Line], to database: BlockingDatabase) throws -> Bool {
        var (rest, last): (ArraySlice<AuditRecord.Line>, Int64) = (old[...], 0)
        while true {
            let lines = try SQLKeyringStore.auditLines(database, after: last)
            guard let end = lines.last else { return false }
            for line in lines {
                guard let mine = rest.popFirst() else {
                    return try AuditRecord(line: line.line.utf8).entry.action == Self.action
                }
                guard Array(line.line.utf8) == mine.line.dropLast() else { return false }
            }
            last = end.sequence
        }
    }

    private func report(_ keyring: Keyring, records: Int) throws -> Report {
        Report(
            keys: keyring.count, versions: keyring.keys.reduce(0) { $0 + $1.versions.count }, records: records,
            file: try setAside(keyring.generation))
    }

    /// What a crash between the two leaves, a keyring in both places, the next start with the database does not mind, and the next
    /// call mends.
    private func setAside(_ generation: UInt64) throws -> String {
        try SharedMark(path: location.sharedMark).raise(to: generation)
        let path = location.keyring + ".moved"
        guard rename(location.keyring, path) == 0 else { throw PrivateFile.failure(location.keyring, "rename") }
        try PrivateFile.syncDirectory(of: path)
        return path
    }

    /// All of it, checked. What it tells of that did not happen is in it as well, followed by a record that says so.
    private func auditLog(known: AuditHead) throws -> [AuditRecord.Line] {
        let log = AuditLog(path: location.audit, beginsAfter: location.auditBeginsAfter, clock: systemClock)
        defer { log.close() }
        // Settles what a crash left, as a start would.
        _ = try log.append([], known: known)
        let bytes = try PrivateFile.read(location.audit, maximumCount: .max) ?? []
        var chain = AuditChain()
        return try bytes.split(separator: UInt8(ascii: "\n")).map { line in
            do throws(AuditDamage) {
                try chain.take(line)
                return (try AuditRecord(line: line), Array(line) + [UInt8(ascii: "\n")])
            } catch {
                throw KeyringProblem.auditMismatch(path: location.audit, sequence: known.sequence, reason: error.description)
            }
        }
    }
}

/// The audit log that a database holds.
package struct SharedAuditLog {
    private let database: BlockingDatabase

    /// - Throws: `KeyringProblem.unreachable`.
    package init(_ url: Redacted<String>) throws {
        database = try url.withExposed { try SQLKeyringStore.database($0) }
    }

    /// Hands over all lines in order, without their ends.
    package func each(_ body: (String) throws -> Void) throws {
        var last: Int64 = 0
        while true {
            let lines = try SQLKeyringStore.auditLines(database, after: last)
            guard let end = lines.last else { return }
            for line in lines { try body(line.line) }
            last = end.sequence
        }
    }
}
