import ArgumentParser
import ContractClients
import Contracts
import Foundation
import RPCCore
import SQL
import ServiceKit

/// `lockstep keys rewrap`
struct RewrapKey: KeyCommand {
    static let configuration = CommandConfiguration(
        commandName: "rewrap", abstract: "Move a table's ciphertexts to the key's primary version.",
        discussion: """
            The service may run meanwhile: a row that it changes stays as it made it. Stop and start as you like: what is under \
            the primary version already is passed over. Then `lockstep keys configure NAME --min-decryption-version` ends the \
            old ones. Ask as the service whose key it is:

              lockstep keys rewrap token-vault --cert token --database sqlite:.lockstep/token.sqlite --table connections \
            --column access_token --context '{id}/access_token'
            """)

    @Argument(help: "The key's name.") var name: String
    @Option(
        help: "sqlite:<path>, or postgres://... with --schema. Default: LOCKSTEP_DATABASE_URL, which no list of processes shows.")
    var database: String?
    @Option(help: "Of PostgreSQL: the service's name.") var schema: String?
    @Option(help: "The table.") var table: String
    @Option(help: "The column that holds ciphertexts.") var column: String
    @Option(help: ArgumentHelp("The column that names a row, in whose order it goes: no two rows have the same.", valueName: "column"))
    var id = "id"
    @Option(help: "What each was sealed with as context; {column} stands for that column's text.") var context = ""
    @OptionGroup var options: KeysOptions

    func lines(_ desk: KeyDesk) async throws -> [String] {
        let text = database ?? ProcessInfo.processInfo.environment["LOCKSTEP_DATABASE_URL"] ?? ""
        guard let url = DatabaseURL(raw: .text(text)) else {
            throw CommandFailure(
                "--database or LOCKSTEP_DATABASE_URL must be sqlite:<path> or postgres://user:password@host:5432/name.", status: 64)
        }
        if case .postgres = url, schema == nil { throw CommandFailure("Name the service with --schema.", status: 64) }
        let rewrap = try KeyRewrap(key: name, table: table, column: column, id: id, context: context)
        do {
            let database = try await Database.existing(
                url.resolved(in: ".", schema: schema ?? ""), advice: "--database names it from the current folder on.")
            let result: Result<KeyRewrap.Tally, any Error>
            do {
                result = .success(try await rewrap.run(database, desk) { StandardError.print($0) })
            } catch {
                result = .failure(error)
            }
            await database.close()
            let tally = try result.get()
            if options.json { print(tally.json) }
            guard tally.failed == 0 else { throw CommandFailure(tally.text, status: 65) }
            return options.json ? [] : [tally.text]
        } catch let error as SQLError {
            throw CommandFailure("\(error)")
        }
    }
}

/// Walks a table in the order of a column, and seals anew what is under an older version.
struct KeyRewrap: Sendable {
    /// Rows that are in memory at once.
    static let batch = 1000
    /// Bytes of one call, well below its limit.
    private static let callBytes = 2 << 20
    /// Rows that are named when they fail.
    private static let named = 10

    struct Tally: Sendable {
        var version: UInt32
        var rewrapped = 0
        var current = 0
        /// Changed by somebody else between reading and writing.
        var changed = 0
        var failed = 0
        var failures: [String] = []

        var rows: Int { rewrapped + current + changed + failed }

        /// Counts a row that was not moved, and names it while it is one of the first.
        mutating func fail(_ name: String, _ why: String) {
            failed += 1
            if failures.count < KeyRewrap.named { failures.append("\(name): \(why)") }
        }

        var json: String {
            JSONText.object([
                ("rows", "\(rows)"), ("version", "\(version)"), ("rewrapped", "\(rewrapped)"), ("current", "\(current)"),
                ("changed", "\(changed)"), ("failed", "\(failed)"),
                ("failures", "[" + failures.map(JSONText.quoted).joined(separator: ",") + "]"),
            ])
        }

        var text: String {
            var text = "\(rows) rows: \(rewrapped) moved to version \(version), \(current) there already"
            if changed > 0 { text += ", \(changed) changed meanwhile" }
            guard failed > 0 else { return text + "." }
            let more = failed > failures.count ? ["  and \(failed - failures.count) more"] : []
            return text + ", \(failed) not:\n" + (failures.map { "  " + $0 } + more).joined(separator: "\n")
        }
    }

    private struct Row: Sendable {
        let id: Value
        /// SQLite keeps a text or a number as one, whatever the column is of.
        let holdsBytes: Bool
        let ciphertext: [UInt8]
        let context: Data

        var name: String { (try? KeyRewrap.text(id)) ?? "?" }
    }

    private let key: String
    private let table: String
    private let column: String
    private let id: String
    /// Text and columns by turns: text first.
    private let context: [(text: String, column: String?)]

    /// - Throws: `CommandFailure` for a name that is none.
    init(key: String, table: String, column: String, id: String, context: String) throws {
        var parts: [(String, String?)] = []
        var rest = context[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw CommandFailure("--context has a { without a }.", status: 64)
            }
            parts.append((String(rest[..<open]), String(rest[rest.index(after: open)..<close])))
            rest = rest[rest.index(after: close)...]
        }
        parts.append((String(rest), nil))
        for name in [table, column, id] + parts.compactMap(\.1) {
            guard name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil else {
                throw CommandFailure("\"\(name)\" is no name of a table or column.", status: 64)
            }
        }
        (self.key, self.table, self.column, self.id, self.context) = (key, table, column, id, parts)
    }

    /// - Throws: `RPCError`, `SQLError`: what is done stays done.
    func run(
        _ database: Database, _ desk: KeyDesk, progress: @Sendable (String) -> Void
    ) async throws -> Tally {
        // A version that is not in use yet is none to move to, and the one before it is about to be the old one.
        var tally = Tally(version: try await desk.inUse(key).primaryVersion)
        try await checkNames(database)
        var after: Value?
        while true {
            let rows = try await read(database, after: after)
            guard let last = rows.last else { return tally }
            after = last.id
            let readable = rows.filter(\.holdsBytes)
            for row in rows where !row.holdsBytes { tally.fail(row.name, "It holds a text or a number, not bytes.") }
            let old = readable.filter { Self.version(of: $0.ciphertext) ?? 0 < tally.version }
            tally.current += readable.count - old.count
            for part in Self.parts(old) { try await rewrap(part, database, desk, &tally) }
            progress("\(table): \(tally.rows) rows, \(tally.rewrapped) moved to version \(tally.version) ...")
        }
    }

    /// Rows of one name would be passed over where a batch ends between them, and rows without a name always.
    private func checkNames(_ database: Database) async throws {
        let (row, ciphertext) = (place(id), place(column))
        let columns = ([row] + context.compactMap(\.column).map(place)).joined(separator: ", ")
        let unnamed = "SELECT \(columns) FROM \"\(table)\" WHERE \(ciphertext) IS NOT NULL AND \(row) IS NULL LIMIT 1"
        let repeated = """
            SELECT 1 AS one FROM "\(table)" WHERE \(ciphertext) IS NOT NULL GROUP BY \(row) HAVING count(*) > 1 LIMIT 1
            """
        let isUsable: Bool
        do {
            isUsable = try await database.read { connection in
                try connection.first(unnamed) == nil && connection.first(repeated) == nil
            }
        } catch let error as SQLError where error.kind == .misuse {
            throw missing(error).map { CommandFailure("\($0) Nothing was moved.", status: 66) } ?? error
        }
        guard isUsable else {
            throw CommandFailure(
                "\(id) does not name the rows of \(table): several have the same one, or none. Nothing was moved. Name a column with "
                    + "--id that is different in each row.", status: 65)
        }
    }

    /// What is not there, by PostgreSQL's undefined_table and undefined_column and what SQLite says of them; nil for other mistakes.
    private func missing(_ error: SQLError) -> String? {
        func says(_ texts: [String]) -> Bool { texts.contains { error.message.contains($0) } }
        if says(["[SQLSTATE 42P01]", "no such table"]) { return "There is no table \(table) in that database." }
        guard says(["[SQLSTATE 42703]", "no such column"]) else { return nil }
        // "no such column: secrets.tokn (prepare ...)", "column secrets.tokn does not exist ...": up to the statement that follows.
        let text = error.message.prefix { $0 != "(" }
        // The longest: one name may begin with another.
        let column = ([id, column] + context.compactMap(\.column)).filter { text.contains("\(table).\($0)") }.max { $0.count < $1.count }
        return "\(table) has no column \(column ?? "of a name that was given")."
    }

    /// With the table before it: a name alone that is no column's SQLite takes for a text.
    private func place(_ column: String) -> String { "\"\(table)\".\"\(column)\"" }

    private func read(_ database: Database, after: Value?) async throws -> [Row] {
        let columns = [id, column] + context.compactMap(\.column)
        let list = columns.enumerated().map { "\"\($1)\" AS c\($0)" }.joined(separator: ", ")
        let range = after == nil ? "" : "AND \"\(id)\" > :after"
        let sql = """
            SELECT \(list) FROM "\(table)" WHERE "\(column)" IS NOT NULL \(range) ORDER BY "\(id)" LIMIT \(Self.batch)
            """
        let found: [[Value]] = try await database.read { connection in
            try connection.query(sql, after.map { ["after": Self.parameter($0)] } ?? .none).map { Array($0.values) }
        }
        return try found.map { values in
            guard Self.parameter(values[0]) != nil else {
                throw CommandFailure("\(id) holds neither text nor whole numbers, so it names no row.", status: 65)
            }
            var (text, next) = ("", 2)
            for part in context {
                text += part.text
                guard part.column != nil else { continue }
                text += try Self.text(values[next])
                next += 1
            }
            guard case .bytes(let ciphertext) = values[1] else {
                return Row(id: values[0], holdsBytes: false, ciphertext: [], context: Data())
            }
            return Row(id: values[0], holdsBytes: true, ciphertext: ciphertext, context: Data(text.utf8))
        }
    }

    /// Again, where a process that has not looked since has sealed under the version before: that would move nothing.
    private func rewrap(_ rows: ArraySlice<Row>, _ database: Database, _ desk: KeyDesk, _ tally: inout Tally) async throws {
        var rows = rows
        let end = ContinuousClock.now + desk.patience
        while true {
            rows = try await rewrapped(rows, database, desk, &tally)
            guard !rows.isEmpty else { return }
            guard ContinuousClock.now < end else {
                throw CommandFailure(
                    "A process seals under an older version than \(tally.version) of \(key) still. What is moved stays moved; call this "
                        + "again.", status: 75)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// - Returns: What was sealed under an older version than is wanted, or not at all for now, and is as it was.
    private func rewrapped(
        _ rows: ArraySlice<Row>, _ database: Database, _ desk: KeyDesk, _ tally: inout Tally
    ) async throws -> ArraySlice<Row> {
        let results = try await desk.rewrap(
            .with {
                $0.keyName = key
                $0.items = rows.map { row in
                    .with {
                        $0.ciphertext = Data(row.ciphertext)
                        $0.context = row.context
                    }
                }
            })
        let pairs = Array(zip(rows, results))
        let version = tally.version
        let good = pairs.filter { !$0.1.hasError && $0.1.keyVersion >= version }
        let late = pairs.filter { $0.1.hasError ? Self.mayPass($0.1.error) : $0.1.keyVersion < version }
        let sql = """
            UPDATE "\(table)" SET "\(column)" = :new WHERE "\(id)" = :id AND "\(column)" = :old
            """
        let written = try await database.write(isolation: .readCommitted) { transaction in
            try good.reduce(0) { count, pair in
                let parameters: Parameters = [
                    "new": Array(pair.1.ciphertext), "id": Self.parameter(pair.0.id), "old": pair.0.ciphertext,
                ]
                return count + (try transaction.execute(sql, parameters))
            }
        }
        tally.rewrapped += written
        tally.changed += good.count - written
        for (row, result) in pairs where result.hasError && !Self.mayPass(result.error) {
            tally.fail(row.name, result.error.message)
        }
        return ArraySlice(late.map(\.0))
    }

    /// Whether the key only waits for more messages to be reserved for it, which is a matter of milliseconds.
    private static func mayPass(_ error: EncryptionItemError) -> Bool { error.reason == "key_reserve_exhausted" }

    /// Pieces that fit a call.
    private static func parts(_ rows: [Row]) -> [ArraySlice<Row>] {
        var parts: [ArraySlice<Row>] = []
        var (start, bytes) = (0, 0)
        for (index, row) in rows.enumerated() {
            let size = row.ciphertext.count + row.context.count + 16
            if bytes + size > callBytes, index > start {
                parts.append(rows[start..<index])
                (start, bytes) = (index, 0)
            }
            bytes += size
        }
        if start < rows.count { parts.append(rows[start...]) }
        return parts
    }

    /// The version in a ciphertext's head; nil when it is none.
    private static func version(of ciphertext: [UInt8]) -> UInt32? {
        ciphertext.count > 5 && ciphertext[0] == 1 ? ciphertext[1..<5].reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    /// Nil, which finds no row, for what names none.
    private static func parameter(_ value: Value) -> (any SQLValue)? {
        switch value {
        case .text(let text): text
        case .integer(let number): number
        case .null, .boolean, .real, .bytes: nil
        }
    }

    private static func text(_ value: Value) throws -> String {
        switch value {
        case .text(let text): text
        case .integer(let number): "\(number)"
        case .null, .boolean, .real, .bytes: throw CommandFailure("A context is made of text and whole numbers.", status: 65)
        }
    }
}
