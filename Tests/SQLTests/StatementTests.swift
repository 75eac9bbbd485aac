import SQL
import TestSupport
import Testing

/// Parameters, rows, types and errors of single statements.
@Suite(.everyEngine) struct StatementTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    private enum Colour: String, SQLValue {
        case red, green
    }

    @Test func everyTypeComesBackAsItWasBound() async throws {
        let database = try await fixture.open()
        // PostgreSQL has no text with a zero in it.
        let text = Engine.current == .sqlite ? "é\u{0}z" : "é\u{1}z"
        let row = try await database.read {
            try $0.one(
                """
                SELECT :int AS int, :text AS text, :empty AS empty, :bytes AS bytes, :none AS none, :yes AS yes,
                    :real AS real, :colour AS colour, :missing AS missing
                """,
                [
                    "int": Int64.min, "text": text, "empty": "", "bytes": [0, 255] as [UInt8], "none": [UInt8](),
                    "yes": true, "real": 1.5, "colour": Colour.green, "missing": String?.none,
                ])
        }
        #expect(try row.get("int", as: Int64.self) == .min)
        #expect(try row.get("text", as: String.self) == text)
        #expect(try row.get("empty", as: String.self) == "")
        #expect(try row.get("bytes", as: [UInt8].self) == [0, 255])
        #expect(try row.get("none", as: [UInt8].self) == [])
        #expect(try row.get("yes", as: Bool.self))
        #expect(try row.get("real", as: Double.self) == 1.5)
        #expect(try row.get("colour", as: Colour.self) == .green)
        #expect(try row.get("missing", as: String?.self) == nil)
        #expect(try row.get("text", as: String?.self) == text)
    }

    @Test func decodingErrorNamesTheColumn() async throws {
        let database = try await fixture.open()
        let row = try await database.read { try $0.one("SELECT 'blue' AS colour, NULL AS gone, 2 AS flag") }
        #expect(throws: SQLError(.decoding(column: "colour"), "column 'colour': expected Int64, found text")) {
            try row.get("colour", as: Int64.self)
        }
        #expect(throws: SQLError(.decoding(column: "gone"), "column 'gone': expected String, found null")) {
            try row.get("gone", as: String.self)
        }
        #expect(throws: SQLError.self) { try row.get("colour", as: Colour.self) }
        #expect(throws: SQLError.self) { try row.get("flag", as: Bool.self) }
        let unknown = #expect(throws: SQLError.self) { try row.get("nothing", as: Int.self) }
        #expect(unknown?.kind == .decoding(column: "nothing"))
    }

    @Test func parametersMustMatchTheStatement() async throws {
        let database = try await fixture.open()
        let missing = await failure { _ = try await database.read { try $0.query("SELECT :a", [:]) } }
        let extra = await failure { _ = try await database.read { try $0.query("SELECT :a", ["a": 1, "b": 2]) } }
        let several = await failure { _ = try await database.read { try $0.query("SELECT 1; SELECT 2") } }
        let nonsense = await failure { _ = try await database.read { try $0.query("SELEKT 1") } }
        #expect([missing, extra, several, nonsense].allSatisfy { $0 == .misuse })
    }

    @Test func upsertReturningAndCounts() async throws {
        let database = try await fixture.openWithItems()
        try await database.write { transaction in
            try transaction.insert(1, "a")
            let changed: Int = try transaction.execute(
                "INSERT INTO items (id, name) VALUES (1, 'b') ON CONFLICT (id) DO NOTHING")
            #expect(changed == 0)
            let name = try transaction.one(
                """
                INSERT INTO items (id, name) VALUES (:id, :name)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name
                """, ["id": 1, "name": "c"]
            ).get("name", as: String.self)
            #expect(name == "c")
            let one = try transaction.execute("UPDATE items SET flag = :yes", ["yes": true])
            let none = try transaction.execute("UPDATE items SET flag = :yes WHERE id = 9", ["yes": true])
            let absent: Row? = try transaction.first("SELECT 1 FROM items WHERE id = 9")
            #expect(one == 1 && none == 0 && absent == nil)
        }
        let absent = await failure {
            _ = try await database.read { connection in try connection.one("SELECT 1 FROM items WHERE id = 9") }
        }
        #expect(absent == .noRow)
    }

    @Test func constraintsSayWhich() async throws {
        let database = try await fixture.openWithItems()
        try await database.insert(1, "a")
        func refused(_ sql: String) async -> SQLError.Kind? {
            await failure { _ = try await database.write { try $0.execute(sql) } }
        }
        #expect(await refused("INSERT INTO items (id, name) VALUES (2, 'a')") == .constraint(.unique(["items.name"])))
        #expect(await refused("INSERT INTO items (id, name) VALUES (2, NULL)") == .constraint(.notNull("items.name")))
        #expect(await refused("INSERT INTO items (id, name, parent) VALUES (2, 'b', 7)") == .constraint(.foreignKey))
        let long = await refused("INSERT INTO items (id, name) VALUES (2, 'aaaaaaaaaaaaaaaaaaaaaaaaa')")
        guard case .constraint(.check) = long else {
            return #expect(Bool(false), "not a check: \(String(describing: long))")
        }
        let duplicate = SQLError(.constraint(.unique(["items.name"])), "")
        #expect(duplicate.isUnique("items.name") && !duplicate.isUnique("items.id"))
    }

    @Test func errorsHoldNoValues() async throws {
        let database = try await fixture.openWithItems()
        try await database.insert(1, "kitty")
        do {
            try await database.insert(2, "kitty")
            Issue.record("a second kitty was accepted")
        } catch {
            #expect(!"\(error)".contains("kitty"))
            #expect("\(error)".contains("items.name"))
        }
    }

    @Test func readsCannotWrite() async throws {
        let database = try await fixture.openWithItems()
        let kind = await failure {
            _ = try await database.read { try $0.query("INSERT INTO items (id, name) VALUES (1, 'x') RETURNING id") }
        }
        #expect(kind == .unavailable)
        #expect(try await database.count() == 0)
    }

    @Test func statementsAreCompiledOncePerConnection() async throws {
        let database = try await fixture.openWithItems { $0.readers = 1 }
        let before = database.statistics
        for id in 0..<50 { try await database.insert(id) }
        for _ in 0..<50 { _ = try await database.count() }
        let after = database.statistics
        #expect(after.statements - before.statements == 100)
        #expect(after.prepared - before.prepared == 2)
    }

    @Test func theStatementCacheIsBounded() async throws {
        let database = try await fixture.open {
            $0.readers = 1
            $0.statementCacheLimit = 2
        }
        for sql in ["SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3", "SELECT 1", "SELECT 2"] {
            _ = try await database.read { try $0.query(sql) }
        }
        // 1, 2 and 3 are compiled; 3 drops 2, which is compiled again; 1 was used most and stays.
        #expect(database.statistics.prepared == 4)
    }

    @Test func urlsOfOtherEnginesAreRefusedClearly() async throws {
        for (url, part) in [
            ("postgres://db:x/auth", "port"), ("postgres:db", "postgres://"), ("mysql:x", "sqlite:<path>"),
            ("sqlite:", "a file"),
        ] {
            do {
                _ = try await Database.open(url: url)
                Issue.record("\(url) was opened")
            } catch let error as SQLError {
                #expect(error.kind == .unsupported && error.message.contains(part))
            }
        }
        #expect(await failure { _ = try await Database.open(url: "sqlite:/nowhere/at/all.sqlite") } == .unavailable)
    }
}
