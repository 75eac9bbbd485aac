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
        Migration(version: 1, name: "keyring", bytes: PackageResources._001_keyring_sql)
    ]

    let isShared = true
    private let database: BlockingDatabase
    private let codec: KeyringCodec
    private let id: String
    private let beat = Atomic<Int64>(0)

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

    init(_ database: BlockingDatabase, codec: KeyringCodec) throws(KeyringProblem) {
        guard let random = try? RandomBytes.generate(16) else { throw .crypto("no random bytes") }
        self.database = database
        self.codec = codec
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
                try append(records, transaction)
            }
        }
    }

    func save(_ keyring: Keyring, records: [AuditRecord.Line]) throws {
        // Whoever changes the keys while the master key is replaced seals all of it under the new one.
        let isSealedAnew = try isToBeSealedAnew()
        let sealed = try codec.seal(keyring)
        do {
            try database.write(isolation: .readCommitted) { transaction in
                let changed = try transaction.execute(
                    "UPDATE keyring SET revision = :next, sealed = :sealed WHERE id = 1 AND revision = :known",
                    [
                        "next": Int64(clamping: keyring.generation), "sealed": sealed,
                        "known": Int64(clamping: keyring.generation) - 1,
                    ])
                guard changed == 1 else { throw KeyringProblem.superseded }
                try append(records, transaction)
                if isSealedAnew { try update(transaction, of: keyring.generation) { _ in } }
            }
        } catch let error as SQLError where error.kind == .unknownOutcome {
            try settle(sealed, keyring.generation)
        } catch let error as SQLError {
            throw Self.problem(error)
        }
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: sealed, path: Self.place))
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

    func load(otherThan generation: UInt64) throws -> Keyring? {
        let rows = try Self.reaching { () throws in
            try database.read { connection -> (Row, Row)? in
                guard let keys = try connection.first("SELECT revision, sealed FROM keyring WHERE id = 1") else { return nil }
                guard try keys.get("revision", as: Int64.self) != Int64(clamping: generation) else { return nil }
                return (keys, try connection.one("SELECT revision, sealed FROM keyring_reserves WHERE id = 1"))
            }
        }
        guard let (keys, reserves) = rows else { return nil }
        let sealed = try keys.get("sealed", as: [UInt8].self)
        let keyring = try codec.open(sealed)
        guard keyring.generation == UInt64(clamping: try keys.get("revision", as: Int64.self)) else {
            throw KeyringProblem.corrupt(path: Self.place, reason: "its revision is not the sealed one")
        }
        let noted = keyring.noting(try self.reserves(reserves).blocks(of: keyring))
        codec.masterKeys.note(present: try KeyringCodec.masterKeyID(of: sealed, path: Self.place))
        return noted
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
        let present = try transaction.one("SELECT revision FROM keyring WHERE id = 1").get("revision", as: Int64.self)
        guard present == Int64(clamping: generation) else { throw KeyringProblem.superseded }
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
                    INSERT INTO keyring_replicas (id, label, beat, revision) VALUES (:id, :label, :beat, :revision)
                    ON CONFLICT (id) DO UPDATE SET beat = excluded.beat, revision = excluded.revision
                    """,
                    ["id": id, "label": Self.label, "beat": beat, "revision": Int64(clamping: generation)])
                for replica in gone {
                    try transaction.execute(
                        "DELETE FROM keyring_replicas WHERE id = :id AND beat = :beat", ["id": replica.id, "beat": replica.beat])
                }
                let present = try transaction.first("SELECT revision FROM keyring WHERE id = 1") {
                    try $0.get("revision", as: Int64.self)
                }
                let others = try transaction.query(
                    "SELECT id, beat, revision FROM keyring_replicas WHERE id <> :id ORDER BY id", ["id": id]
                ) {
                    Replica(
                        id: try $0.get("id"), beat: try $0.get("beat"),
                        holds: UInt64(clamping: try $0.get("revision", as: Int64.self)))
                }
                return Meeting(generation: UInt64(clamping: present ?? 0), others: others)
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

    /// - Throws: `KeyringProblem.auditMismatch` when the log does not end where the keyring says.
    private func append(_ records: [AuditRecord.Line], _ transaction: borrowing Transaction) throws {
        guard let first = records.first?.record else { return }
        let last = try transaction.first("SELECT line FROM key_audit ORDER BY sequence DESC LIMIT 1") {
            try $0.get("line", as: String.self)
        }
        // None: the log of a keyring that came from a file goes on here.
        if let last { try Self.check(last, isBefore: first) }
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
