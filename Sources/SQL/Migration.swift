private import Glibc

/// Whose SQL it is.
package enum Dialect: Sendable, Hashable, CaseIterable {
    case sqlite
    case postgres
}

/// One forward step of a schema: a numbered SQL file of `services/<name>/migrations/`.
package struct Migration: Sendable {
    /// Starts at 1, without gaps.
    package let version: Int
    package let name: String
    package let sql: String
    /// What only one of the engines understands, run behind `sql`: triggers.
    package let own: [Dialect: String]

    package init(version: Int, name: String, sql: String, own: [Dialect: String] = [:]) {
        self.version = version
        self.name = name
        self.sql = sql
        self.own = own
    }

    /// From a file embedded by SwiftPM (`PackageResources`).
    package init(version: Int, name: String, bytes: [UInt8], own: [Dialect: [UInt8]] = [:]) {
        self.init(
            version: version, name: name, sql: String(decoding: bytes, as: UTF8.self),
            own: own.mapValues { String(decoding: $0, as: UTF8.self) })
    }

    /// FNV-1a over the text: tells an edited file from the one that was applied; no defence against an adversary.
    var checksum: Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in ([sql] + Dialect.allCases.compactMap { own[$0] }).flatMap(\.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        return Int64(bitPattern: hash)
    }
}

extension Database {
    /// Brings the schema up to date: applies what is missing, all of it or nothing, in one transaction whose lock keeps
    /// a second process waiting. Running it again changes nothing.
    ///
    /// - Returns: the versions applied now.
    /// - Throws: `SQLError` of kind `.migration` when an applied file was edited since, or when the database is newer
    ///   than this program.
    @discardableResult
    package func migrate(_ migrations: [Migration]) async throws -> [Int] {
        try await migrating { try Migration.bringUp($0, migrations) }
    }

    /// How many of the migrations the database has: none where no service has used it yet. Changes nothing.
    ///
    /// - Throws: `SQLError` of kind `.migration` as `migrate` does, which is so for another service's database, too.
    package func applied(of migrations: [Migration]) async throws -> Int {
        try await read { connection in
            let table =
                switch connection.handle.session.dialect {
                case .sqlite: "SELECT 1 AS n FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'"
                case .postgres: "SELECT 1 AS n WHERE to_regclass('schema_migrations') IS NOT NULL"
                }
            guard try connection.first(table) != nil else { return 0 }
            let applied = try Migration.recorded(connection)
            try Migration.check(applied, against: migrations)
            return applied.count
        }
    }
}

extension Migration {
    /// Applies what is missing, in a transaction that no other migrates beside.
    ///
    /// - Returns: the versions applied now.
    static func bringUp(_ transaction: borrowing Transaction, _ migrations: [Migration]) throws -> [Int] {
        try checkNumbers(migrations)
        let applied = try applied(transaction)
        try check(applied, against: migrations)
        let missing = migrations.dropFirst(applied.count)
        for migration in missing { try migration.apply(transaction) }
        return missing.map(\.version)
    }

    fileprivate struct Applied {
        let version: Int
        let name: String
        let checksum: Int64
    }

    fileprivate static func checkNumbers(_ migrations: [Migration]) throws {
        for (index, migration) in migrations.enumerated() where migration.version != index + 1 {
            throw SQLError(
                .migration, "migration '\(migration.name)' has number \(migration.version), expected \(index + 1)")
        }
    }

    fileprivate static func applied(_ transaction: borrowing Transaction) throws -> [Applied] {
        try transaction.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_migrations (
                version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BIGINT NOT NULL, applied_at BIGINT NOT NULL)
            """)
        return try recorded(transaction)
    }

    fileprivate static func recorded<Source: Queries & ~Copyable>(_ source: borrowing Source) throws -> [Applied] {
        try source.query("SELECT version, name, checksum FROM schema_migrations ORDER BY version") {
            Applied(version: try $0.get("version"), name: try $0.get("name"), checksum: try $0.get("checksum"))
        }
    }

    fileprivate static func check(_ applied: [Applied], against migrations: [Migration]) throws {
        if applied.count > migrations.count {
            throw SQLError(
                .migration,
                "the database is at version \(applied.count) and this program knows only \(migrations.count): "
                    + "start the newer program")
        }
        for (old, new) in zip(applied, migrations) where old.version != new.version || old.checksum != new.checksum {
            throw SQLError(
                .migration,
                "migration \(new.version) '\(new.name)' was edited after it had been applied to this database as "
                    + "\(old.version) '\(old.name)': restore the file and add a new one")
        }
    }

    fileprivate func apply(_ transaction: borrowing Transaction) throws {
        try transaction.script(sql)
        if let text = own[transaction.dialect] { try transaction.script(text) }
        try transaction.execute(
            """
            INSERT INTO schema_migrations (version, name, checksum, applied_at)
            VALUES (:version, :name, :checksum, :applied_at)
            """,
            ["version": version, "name": name, "checksum": checksum, "applied_at": Int64(Glibc.time(nil)) * 1_000_000])
    }
}
