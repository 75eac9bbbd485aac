import Glibc
import LibCrypto
import SQL
import Synchronization

/// The keyring in a database that several processes share: SQLite for those on one machine, PostgreSQL for others.
///
/// Every change says which revision it was made of, so that none is lost; reserves are taken in one transaction that holds
/// their row. The audit log is here as well, written in the transaction of what it tells of: so it never tells of what
/// did not happen.
final class SQLKeyringStore: KeyringStore {
    /// How the keyring is called in texts of errors: a URL may hold a password.
    static let place = "in encryption.keyring.database"
    private static let migrations = [
        Migration(version: 1, name: "keyring", bytes: PackageResources._001_keyring_sql),
        Migration(version: 2, name: "lease", bytes: PackageResources._002_lease_sql),
    ]
    /// As much of a sealed keyring as tells it from every other one: what stands before the seal, and its nonce.
    private static let markCount = 26

    /// The newest keyring that this process knows.
    private struct Held {
        let revision: UInt64
        let mark: [UInt8]
        let audit: AuditHead
    }

    let isShared = true
    private let database: BlockingDatabase
    private let codec: KeyringCodec
    private let id: String
    private let beat = Atomic<Int64>(0)
    private let held = Mutex<Held?>(nil)
    /// What this host remembers; nil for nothing.
    private let memory: SharedMark?
    /// How long others are to wait for this process, in microseconds.
    private let lease: Int64
    /// The record of the audit log after which it may be begun anew; 0 for none.
    private let beginsAfter: UInt64

    /// Opens the database and makes its tables.
    ///
    /// - Throws: `KeyringProblem.unreachable`.
    static func database(_ url: String) throws(KeyringProblem) -> BlockingDatabase {
        try reaching { () throws in
            let database = try BlockingDatabase(url: url)
            try database.migrate(migrations)
            return database
        }
    }

    /// Whether a database holds a keyring, whoever can open it.
    static func holdsKeyring(_ database: BlockingDatabase) throws(KeyringProblem) -> Bool {
        try reaching { () throws in try database.read { try $0.first("SELECT id FROM keyring") != nil } }
    }

    init(
        _ database: BlockingDatabase, codec: KeyringCodec, lease: Int64 = Sharing().lease, memory: SharedMark? = nil,
        beginsAfter: UInt64 = 0
    ) throws(KeyringProblem) {
        guard let random = try? RandomBytes.generate(16) else { throw .crypto("no random bytes") }
        codec.masterKeys.share()
        self.database = database
        self.codec = codec
        self.lease = lease
        self.memory = memory
        self.beginsAfter = beginsAfter
        id = Hex.encode(random)
    }

    // MARK: The keyring

    /// Makes the first one, unless another process has just done so.
    func create(_ keyring: Keyring, records: [AuditRecord.Line]) throws(KeyringProblem) {
        let sealed = try codec.seal(keyring)
        let reserves = try codec.seal(Reserves(of: keyring), revision: 1)
        try Self.reaching { () throws in
            try database.write { transaction in
                let isFirst = try transaction.execute(
                    "INSERT INTO keyring (id, revision, sealed) VALUES (1, :revision, :sealed) ON CONFLICT (id) DO NOTHING",
                    ["revision": Int64(clamping: keyring.generation), "sealed": sealed])
                guard isFirst == 1 else { throw KeyringProblem.superseded }
                try transaction.execute(
                    "INSERT INTO keyring_reserves (id, revision, sealed) VALUES (1, 1, :sealed)", ["sealed": reserves])
                try append(records, transaction, isFirst: true)
            }
        }
        hold(keyring, sealed)
    }

    func save(_ keyring: Keyring, records: [AuditRecord.Line]) throws {
        // Whoever changes the keys while the master key is replaced seals all of it under the new one.
        let isSealedAnew = codec.masterKeys.glance()
        let sealed = try codec.seal(keyring)
        let (known, next) = (Int64(clamping: keyring.generation) - 1, Int64(clamping: keyring.generation))
        do {
            try database.write(isolation: .readCommitted) { transaction in
                // The old one is read and locked at once.
                let old = try transaction.first(
                    """
                    UPDATE keyring SET revision = revision WHERE id = 1 AND revision = :known
                    RETURNING substr(sealed, 1, \(Self.markCount)) AS mark
                    """, ["known": known])
                guard let old, try isKnown(old.get("mark"), as: keyring.generation - 1) else { throw KeyringProblem.superseded }
                try transaction.execute(
                    "UPDATE keyring SET revision = :next, sealed = :sealed WHERE id = 1", ["next": next, "sealed": sealed])
                try append(records, transaction)
                if isSealedAnew { try update(transaction, of: keyring.generation) { _ in } }
            }
        } catch let error as SQLError where error.kind == .unknownOutcome {
            try settle(sealed, keyring.generation)
        } catch let error as SQLError {
            throw Self.problem(error)
        }
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: sealed, path: Self.place))
        hold(keyring, sealed)
    }

    func isToBeSealedAnew() throws -> Bool { try codec.masterKeys.look() }
    var sealing: MasterKey? { codec.masterKeys.sealing }

    /// The row as it is, without opening it; nil when there is none.
    static func sealed(_ database: BlockingDatabase) throws(KeyringProblem) -> [UInt8]? {
        try reaching { () throws in
            try database.read { try $0.first("SELECT sealed FROM keyring WHERE id = 1") { try $0.get("sealed", as: [UInt8].self) } }
        }
    }

    /// Whether the commit took place whose answer was lost. Should that not be known either, the change is made again: a key
    /// may then be rotated twice, and both are in the audit log.
    private func settle(_ sealed: [UInt8], _ generation: UInt64) throws {
        let row = try Self.reaching { () throws in
            try database.read { try $0.first("SELECT revision, sealed FROM keyring WHERE id = 1") }
        }
        guard let row else { throw KeyringProblem.corrupt(path: Self.place, reason: "it is gone") }
        if try row.get("sealed", as: [UInt8].self) == sealed { return }
        guard try row.get("revision", as: Int64.self) < Int64(clamping: generation) else { throw KeyringProblem.superseded }
        throw KeyringProblem.unreachable(reason: "a change was not made, since the connection was lost")
    }

    /// - Throws: `sharedOlder` or `sharedForked` for one that does not come after what this process knows.
    func load(otherThan generation: UInt64) throws -> Keyring? {
        let held = held.withLock { $0 }
        let rows = try Self.reaching { () throws in
            try database.read { connection -> (Row, Row, String?)? in
                guard let keys = try connection.first("SELECT revision, sealed FROM keyring WHERE id = 1") else { return nil }
                let revision = UInt64(clamping: try keys.get("revision", as: Int64.self))
                try check(revision, mark: Array(try keys.get("sealed", as: [UInt8].self).prefix(Self.markCount)))
                guard revision != generation else { return nil }
                let known = try connection.first(
                    "SELECT line FROM key_audit WHERE sequence = :sequence", ["sequence": Int64(clamping: held?.audit.sequence ?? 0)]
                ) { try $0.get("line", as: String.self) }
                return (keys, try connection.one("SELECT revision, sealed FROM keyring_reserves WHERE id = 1"), known)
            }
        }
        guard let (keys, reserves, line) = rows else { return nil }
        // What this process knows of the log is in the log still, or is missing there: then the log does not fit.
        if let held, let line, let record = try? AuditRecord(line: line.utf8), record.hash != held.audit.hash {
            throw KeyringProblem.sharedForked(generation: held.revision)
        }
        let sealed = try keys.get("sealed", as: [UInt8].self)
        let keyring = try codec.open(sealed)
        guard keyring.generation == UInt64(clamping: try keys.get("revision", as: Int64.self)) else {
            throw KeyringProblem.corrupt(path: Self.place, reason: "its revision is not the sealed one")
        }
        let noted = keyring.noting(try self.reserves(reserves).blocks(of: keyring))
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: sealed, path: Self.place))
        hold(keyring, sealed)
        return noted
    }

    /// Notes that this is the newest keyring.
    private func hold(_ keyring: Keyring, _ sealed: [UInt8]) {
        held.withLock {
            $0 = Held(revision: keyring.generation, mark: Array(sealed.prefix(Self.markCount)), audit: keyring.audit)
        }
        // A host that cannot write remembers less; that keeps nothing from being used.
        try? memory?.raise(to: keyring.generation)
    }

    /// Whether it is the keyring that this process knows as this generation, or does not know.
    private func isKnown(_ mark: [UInt8], as generation: UInt64) -> Bool {
        held.withLock { held in held.map { $0.revision != generation || $0.mark == mark } ?? true }
    }

    /// Whether what is there is what this process knows, or comes after it. With numbers alone a keyring that was put back, and
    /// changed as often since, would be taken for the one that it replaced.
    private func check(_ revision: UInt64, mark: [UInt8]) throws(KeyringProblem) {
        let newest = held.withLock { $0?.revision } ?? 0
        if revision < newest { throw .sharedOlder(generation: revision, known: newest) }
        if !isKnown(mark, as: revision) { throw .sharedForked(generation: revision) }
    }

    // MARK: Reserves

    func reserve(_ requests: [ReserveRequest], of keyring: Keyring) throws -> (keyring: Keyring, blocks: [ReservedBlock]) {
        let blocks = try Self.reaching { () throws in
            try database.write(isolation: .readCommitted) { transaction in
                try update(transaction, of: keyring.generation) { $0.take(requests, of: keyring) }
            }
        }
        return (keyring.noting(blocks), blocks.filter { $0.upTo > $0.from })
    }

    /// Changes what is reserved, for whoever has the keyring of this generation.
    private func update<Result>(
        _ transaction: borrowing Transaction, of generation: UInt64, _ change: (inout Reserves) -> Result
    ) throws -> Result {
        // First, since it locks the row: whoever else reserves waits, and then sees what was reserved here.
        let row = try transaction.one(
            "UPDATE keyring_reserves SET revision = revision + 1 WHERE id = 1 RETURNING revision - 1 AS revision, sealed")
        let present = try transaction.one(
            "SELECT revision, substr(sealed, 1, \(Self.markCount)) AS mark FROM keyring WHERE id = 1")
        guard try present.get("revision", as: Int64.self) == Int64(clamping: generation) else { throw KeyringProblem.superseded }
        guard try isKnown(present.get("mark"), as: generation) else { throw KeyringProblem.superseded }
        var reserves = try self.reserves(row)
        let result = change(&reserves)
        let sealed = try codec.seal(reserves, revision: UInt64(clamping: try row.get("revision", as: Int64.self) + 1))
        try transaction.execute("UPDATE keyring_reserves SET sealed = :sealed WHERE id = 1", ["sealed": sealed])
        return result
    }

    private func reserves(_ row: Row) throws -> Reserves {
        try codec.openReserves(try row.get("sealed"), revision: UInt64(clamping: try row.get("revision", as: Int64.self)))
    }

    // MARK: Replicas

    func meet(holding generation: UInt64, forgetting gone: [Replica]) throws -> Meeting {
        let beat = beat.add(1, ordering: .relaxed).newValue
        return try Self.reaching { () throws in
            try database.write(isolation: .readCommitted) { transaction in
                try transaction.execute(
                    """
                    INSERT INTO keyring_replicas (id, label, beat, revision, lease) VALUES (:id, :label, :beat, :revision, :lease)
                    ON CONFLICT (id) DO UPDATE SET beat = excluded.beat, revision = excluded.revision, lease = excluded.lease
                    """,
                    ["id": id, "label": Self.label, "beat": beat, "revision": Int64(clamping: generation), "lease": lease])
                for replica in gone {
                    try transaction.execute(
                        "DELETE FROM keyring_replicas WHERE id = :id AND beat = :beat", ["id": replica.id, "beat": replica.beat])
                }
                let row = try transaction.first(
                    "SELECT revision, substr(sealed, 1, \(Self.markCount)) AS mark FROM keyring WHERE id = 1")
                let present = UInt64(clamping: try row?.get("revision", as: Int64.self) ?? 0)
                if row == nil, generation > 0 { throw KeyringProblem.sharedLost(mark: memory?.path ?? "keyring.shared") }
                // Here, so that nothing is written either: others are not to wait for a process that goes another way.
                if let row { try check(present, mark: row.get("mark")) }
                let others = try transaction.query(
                    "SELECT id, beat, revision, lease FROM keyring_replicas WHERE id <> :id ORDER BY id", ["id": id]
                ) {
                    Replica(
                        id: try $0.get("id"), beat: try $0.get("beat"),
                        holds: UInt64(clamping: try $0.get("revision", as: Int64.self)), lease: try $0.get("lease"))
                }
                return Meeting(generation: present, others: others)
            }
        }
    }

    /// Host and process number.
    private static let label: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return "\(String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))/\(getpid())"
    }()

    func release() {
        // Should this fail, others wait for a lease.
        try? database.write(isolation: .readCommitted) { transaction in
            _ = try transaction.execute("DELETE FROM keyring_replicas WHERE id = :id", ["id": id])
        }
        database.close()
    }

    // MARK: The audit log

    func followAudit(to head: AuditHead) throws {
        var follower = AuditFollower(known: head, mayBegin: head.sequence == 0)
        var last: Int64 = 0
        do {
            while true {
                let lines = try Self.auditLines(database, after: last)
                for line in lines { try follower.take(Array(line.line.utf8)[...]) }
                guard let end = lines.last else { break }
                last = end.sequence
            }
            if head.sequence > 0 || last > 0 { _ = try follower.head }
        } catch let damage as AuditDamage {
            throw KeyringProblem.auditMismatch(path: Self.place, sequence: head.sequence, reason: damage.description)
        }
    }

    /// What begins the log anew: it was moved away, and configuration says so. Nil when it goes on as it is.
    func auditBeginning(after head: AuditHead) throws(KeyringProblem) -> AuditEntry? {
        guard head.sequence > 0, head.sequence == beginsAfter, try Self.auditCount(database) == 0 else { return nil }
        return .beginning(after: head)
    }

    /// - Parameter isFirst: Whether the keyring is made now: then its log may have begun in a file.
    /// - Throws: `KeyringProblem.auditMismatch` when the log does not end where the keyring says.
    private func append(_ records: [AuditRecord.Line], _ transaction: borrowing Transaction, isFirst: Bool = false) throws {
        guard let first = records.first?.record else { return }
        let last = try transaction.first("SELECT line FROM key_audit ORDER BY sequence DESC LIMIT 1") {
            try $0.get("line", as: String.self)
        }
        if let last {
            try Self.check(last, isBefore: first)
        } else if !isFirst, first.sequence != 1 {
            guard first.entry.action == AuditEntry.begin, first.sequence - 1 == beginsAfter else {
                throw KeyringProblem.auditMismatch(path: Self.place, sequence: first.sequence - 1, reason: "it is empty")
            }
        }
        for (record, line) in records {
            try transaction.execute(
                "INSERT INTO key_audit (sequence, line) VALUES (:sequence, :line)",
                ["sequence": Int64(clamping: record.sequence), "line": String(decoding: line.dropLast(), as: UTF8.self)])
        }
    }

    private static func check(_ line: String, isBefore record: AuditRecord) throws {
        var reason = ""
        do throws(AuditDamage) {
            let last = try AuditRecord(line: line.utf8)
            if last.sequence == record.sequence - 1, last.hash == record.previous { return }
            reason = "its last record is \(last.sequence), or another one"
        } catch {
            reason = error.description
        }
        throw KeyringProblem.auditMismatch(path: place, sequence: record.sequence - 1, reason: reason)
    }

    static func auditCount(_ database: BlockingDatabase) throws(KeyringProblem) -> Int {
        try reaching { () throws in try database.read { try $0.one("SELECT count(*) AS n FROM key_audit").get("n", as: Int.self) } }
    }

    /// Lines of the audit log, without their ends, in order.
    ///
    /// - Parameter sequence: Of the last one that is known; 0 for the beginning.
    static func auditLines(_ database: BlockingDatabase, after sequence: Int64) throws -> [(sequence: Int64, line: String)] {
        try reaching { () throws in
            try database.read { connection in
                try connection.query(
                    "SELECT sequence, line FROM key_audit WHERE sequence > :known ORDER BY sequence LIMIT 1000",
                    ["known": sequence]
                ) { (try $0.get("sequence"), try $0.get("line")) }
            }
        }
    }

    // MARK: Trouble

    private static func reaching<T>(_ body: () throws -> T) throws(KeyringProblem) -> T {
        do {
            return try body()
        } catch let error as KeyringProblem {
            throw error
        } catch let error as SQLError {
            throw problem(error)
        } catch {
            throw .unreachable(reason: "\(error)")
        }
    }

    private static func problem(_ error: SQLError) -> KeyringProblem {
        switch error.kind {
        case .corrupt, .decoding, .noRow: .corrupt(path: place, reason: error.message)
        default: .unreachable(reason: error.message)
        }
    }
}
