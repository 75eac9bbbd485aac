import SQL

/// Copies all tables of a service from SQLite to PostgreSQL, parents before children, and compares both sides.
struct DatabaseCopy {
    let service: StoringService
    /// Whether rows of an earlier copy give way.
    var isReplacing = false
    let progress: @Sendable (String) -> Void

    /// Rows that are in memory at once.
    private static let batch = 5000

    /// Rows of one table, and a checksum of them in whatever order.
    struct Tally: Sendable, Equatable {
        let table: String
        var rows = 0
        var checksum: UInt64 = 0

        mutating func add(_ row: ArraySlice<Value>) {
            rows += 1
            checksum &+= row.reduce(0xcbf2_9ce4_8422_2325) { $1.hashed(into: $0) }
        }
    }

    private struct Table: Sendable {
        let name: String
        let columns: [String]
        let parents: Set<String>
    }

    /// - Throws: `SQLError`, `CommandFailure`. Where the source is missing or not what it should be, the target is as it was;
    ///   after a later failure it has no rows.
    func run(from source: String, to target: String) async throws -> [Tally] {
        guard source.hasPrefix("sqlite:") else { throw CommandFailure("--from must be sqlite:<path>.", status: 64) }
        let from = try await Database.existing(source, advice: "--from names the file from the current folder on.")
        let result: Result<[Tally], any Error>
        do {
            let tables = try await tables(of: from, at: source)
            let to = try await Database.open(url: target)
            do {
                result = .success(try await copy(tables, from, to))
            } catch {
                result = .failure(error)
            }
            await to.close()
        } catch {
            result = .failure(error)
        }
        await from.close()
        return try result.get()
    }

    /// What there is to copy. Looked at before the target is opened: nothing must not take the place of something.
    private func tables(of from: Database, at source: String) async throws -> [Table] {
        guard try await from.applied(of: service.migrations) > 0 else {
            throw CommandFailure(
                "\(Database.shown(source)) holds no tables of \(service.rawValue): that service never used it. Nothing was changed.",
                status: 65)
        }
        try await from.migrate(service.migrations)
        let tables = Self.parentsFirst(try await from.read { try Self.tables($0) })
        guard isReplacing else { return tables }
        for table in tables where !service.seeded.contains(table.name) {
            if try await !isEmpty(table, in: from) { return tables }
        }
        throw CommandFailure(
            "\(Database.shown(source)) holds no rows, and --replace would leave the target empty. Nothing was changed.", status: 65)
    }

    private func isEmpty(_ table: Table, in database: Database) async throws -> Bool {
        try await database.read { try $0.first("SELECT 1 AS n FROM \(table.name) LIMIT 1") == nil }
    }

    private func copy(_ tables: [Table], _ from: Database, _ to: Database) async throws -> [Tally] {
        try await to.migrate(service.migrations)
        try await makeRoom(tables, in: to)
        do {
            var tallies: [Tally] = []
            for table in tables {
                let sent = try await walk(table, in: from, key: "rowid") { rows in
                    try await to.write(isolation: .readCommitted) { transaction in
                        // What the source's triggers made of these rows is copied, too: made twice it would meet itself.
                        try transaction.withoutTriggers(of: table.name) {
                            _ = try $0.insert(into: table.name, columns: table.columns, rows: rows)
                        }
                    }
                }
                let arrived = try await walk(table, in: to, key: "ctid") { _ in }
                guard sent == arrived else { throw CommandFailure("\(table.name) differs after it was copied: nothing was kept.") }
                progress("\(table.name): \(sent.rows) rows")
                tallies.append(sent)
            }
            return tallies
        } catch {
            try? await empty(tables, in: to)
            throw error
        }
    }

    /// Reads a table in pieces, in the order of its key.
    private func walk(
        _ table: Table, in database: Database, key: String, _ use: ([[Value]]) async throws -> Void
    ) async throws -> Tally {
        var tally = Tally(table: table.name)
        var after: String?
        let columns = table.columns.map { "\"\($0)\"" }.joined(separator: ", ")
        while true {
            let type = key == "rowid" ? "INTEGER" : "tid"
            let range = after == nil ? "" : "WHERE \(key) > CAST(:after AS \(type))"
            let sql = "SELECT CAST(\(key) AS TEXT) AS copy_key, \(columns) FROM \(table.name) \(range) ORDER BY \(key) LIMIT \(Self.batch)"
            let parameters: Parameters = after.map { ["after": $0] } ?? .none
            let rows = try await database.read { try $0.query(sql, parameters) }
            guard let last = rows.last else { return tally }
            after = try last.get("copy_key", as: String.self)
            for row in rows { tally.add(row.values.dropFirst()) }
            try await use(rows.map { Array($0.values.dropFirst()) })
            if tally.rows % (10 * Self.batch) == 0 { progress("\(table.name): \(tally.rows) rows ...") }
        }
    }

    // MARK: The target

    private func makeRoom(_ tables: [Table], in database: Database) async throws {
        if !isReplacing {
            for table in tables where !service.seeded.contains(table.name) {
                guard try await isEmpty(table, in: database) else {
                    throw CommandFailure("The target holds data already (\(table.name)); --replace removes it first.")
                }
            }
        }
        try await empty(tables, in: database)
    }

    private func empty(_ tables: [Table], in database: Database) async throws {
        try await database.write { transaction in
            for table in tables.reversed() {
                // Nobody deletes from an audit trail; this is another database's, and gives way as a whole.
                try transaction.withoutTriggers(of: table.name) { _ = try $0.execute("DELETE FROM \(table.name)") }
            }
        }
    }

    // MARK: Tables

    private static func tables(_ connection: borrowing SQL.Connection) throws -> [Table] {
        let names = try connection.query(
            """
            SELECT name FROM sqlite_schema
            WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'schema_migrations' ORDER BY name
            """
        ) { try $0.get("name", as: String.self) }
        var tables: [Table] = []
        for name in names {
            let columns = try connection.query(
                "SELECT name FROM pragma_table_info(:table) ORDER BY cid", ["table": name]
            ) { try $0.get("name", as: String.self) }
            let parents = try connection.query(
                "SELECT \"table\" AS parent FROM pragma_foreign_key_list(:table)", ["table": name]
            ) { try $0.get("parent", as: String.self) }
            tables.append(Table(name: name, columns: columns, parents: Set(parents).subtracting([name])))
        }
        return tables
    }

    private static func parentsFirst(_ tables: [Table]) -> [Table] {
        var (rest, ordered): ([Table], [Table]) = (tables, [])
        while !rest.isEmpty {
            let known = Set(ordered.map(\.name))
            let next = rest.filter { $0.parents.isSubset(of: known) }
            // In a circle nobody is first: foreign keys then say so.
            ordered += next.isEmpty ? rest : next
            rest = next.isEmpty ? [] : rest.filter { table in !next.contains { $0.name == table.name } }
        }
        return ordered
    }
}

extension Transaction {
    /// Of PostgreSQL: the table's own triggers are off for the body, and on again when the transaction ends in any way. What
    /// keeps foreign keys stays on.
    fileprivate func withoutTriggers(of table: String, _ body: (borrowing Transaction) throws -> Void) throws {
        try execute("ALTER TABLE \(table) DISABLE TRIGGER USER")
        try body(self)
        try execute("ALTER TABLE \(table) ENABLE TRIGGER USER")
    }
}

extension Value {
    /// FNV-1a over the kind and the bytes; truth values count as the numbers that SQLite makes of them.
    fileprivate func hashed(into hash: UInt64) -> UInt64 {
        func add(_ kind: UInt8, _ bytes: some Sequence<UInt8>) -> UInt64 {
            bytes.reduce((hash ^ UInt64(kind)) &* 0x0000_0100_0000_01b3) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        }
        func add(_ kind: UInt8, _ bits: UInt64) -> UInt64 { add(kind, (0..<8).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }) }
        return switch self {
        case .null: add(0, [])
        case .boolean(let flag): add(1, flag ? 1 : 0)
        case .integer(let number): add(1, UInt64(bitPattern: number))
        case .real(let number): add(2, number.bitPattern)
        case .text(let text): add(3, text.utf8)
        case .bytes(let bytes): add(4, bytes)
        }
    }
}
