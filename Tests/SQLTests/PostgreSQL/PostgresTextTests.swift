import Testing

@testable import SQL

/// Statements, addresses, values and errors: no server needed.
@Suite struct PostgresTextTests {
    @Test func namesBecomeNumbersOutsideOfStringsAndComments() {
        let text = PostgresText(
            "SELECT ':a', \":b\", a::text, :x, :y_1, :x -- :c\n /* :d */ FROM t WHERE it = 'it''s :e' AND é = :z;")
        #expect(text.names == ["x", "y_1", "z"])
        #expect(
            text.sql == "SELECT ':a', \":b\", a::text, $1, $2, $1 -- :c\n /* :d */ FROM t WHERE it = 'it''s :e' AND é = $3;")
    }

    @Test(arguments: [":", "::", ":a:", "'", "\"", "/*", "--", "a:", ":1", "'a", "/* a", ""])
    func oddTextsEnd(text: String) {
        #expect(PostgresText(text).names.count <= 1)
        #expect(PostgresText.script(text) == text)
    }

    @Test func scriptsKeepAllButTheNameOfBytes() {
        #expect(
            PostgresText.script("CREATE TABLE t (a BLOB, -- BLOB 'BLOB'\n blob TEXT, \"b\" /* x */ blob NOT NULL);")
                == "CREATE TABLE t (a BYTEA, -- BLOB 'BLOB'\n blob TEXT, \"b\" /* x */ BYTEA NOT NULL);")
    }

    @Test func addressesAreTakenApart() throws {
        let address = try PostgresAddress("postgres://ann%40x:p%3A%2Fw@db.example:5433/lock?schema=auth&sslmode=verify-full&pool_size=3")
        #expect(address.keywords["user"] == "ann@x")
        #expect(address.password?.exposed == "p:/w")
        #expect(address.keywords["host"] == "db.example" && address.keywords["port"] == "5433")
        #expect(address.keywords["dbname"] == "lock" && address.keywords["sslmode"] == "verify-full")
        #expect(address.schema == "auth" && address.pool.size == 3 && address.pool.overflow == 30)
        let several = try PostgresAddress("postgresql://u@[::1]:1,b/x")
        #expect(several.keywords["host"] == "::1,b" && several.keywords["port"] == "1,")
        let local = try PostgresAddress("postgres:///x?host=/run/pg")
        #expect(local.keywords["host"] == "/run/pg" && local.keywords["sslmode"] == "prefer")
        #expect(try PostgresAddress("postgres://db.example/x").keywords["sslmode"] == "require")
    }

    @Test(arguments: [
        "postgres:/u:geheim@h/x", "postgres://u:geheim@h:99999/x", "postgres://u:geheim@h/x?pool_size=0",
        "postgres://u:geheim@h/x?pasword=geheim", "postgres://u:geheim%@h/x", "postgres://u:geheim@h/x#y",
        "postgres://u:geheim@h/x?schema=a;b", "postgres://u:geheim@[::1/x",
    ])
    func mistakesAreToldWithoutThePassword(url: String) throws {
        let error = try #require(throws: SQLError.self) { try PostgresAddress(url) }
        #expect(error.kind == .unsupported)
        #expect(!"\(error)".contains("geheim"))
    }

    @Test func passwordsAreNotPrinted() throws {
        let address = try PostgresAddress("postgres://u:geheim@h/x")
        var text = "\(address) \(String(reflecting: address))"
        dump(address, to: &text)
        #expect(!text.contains("geheim"))
    }

    @Test func errorsNameWhatRefusedAndNoValues() {
        let unique = PostgresFailure(
            state: "23505", message: "duplicate: kitty", table: "m", constraint: "m_key",
            detail: "Key (caller, key)=(kitty, 2) already exists.")
        #expect(unique.error(doing: "x").kind == .constraint(.unique(["m.caller", "m.key"])))
        let value = PostgresFailure(state: "22P02", message: "invalid input syntax: \"kitty\"")
        for failure in [unique, value] { #expect(!"\(failure.error(doing: "x"))".contains("kitty")) }
        #expect(PostgresFailure(state: "57014").error(doing: "x").kind == .timeout)
        #expect(PostgresFailure(state: "53300").error(doing: "x").kind == .unavailable)
        #expect(PostgresFailure(state: "40001").retry == .conflict)
        #expect(PostgresFailure(state: "57P01").retry == .connection)
        #expect(PostgresFailure(state: "23505").retry == .no)
    }

    @Test func numbersComeInEveryWidth() {
        func value(_ type: UInt32, _ bytes: [UInt8]) -> Value? { bytes.withUnsafeBytes { Value(postgres: type, $0) } }
        #expect(value(21, [0xff, 0xfe]) == .integer(-2))
        #expect(value(23, [0x80, 0, 0, 0]) == .integer(Int64(Int32.min)))
        #expect(value(20, [0x80, 0, 0, 0, 0, 0, 0, 0]) == .integer(.min))
        #expect(value(700, [0x3f, 0x80, 0, 0]) == .real(1))
        #expect(value(16, [1]) == .boolean(true))
        // 12345, -12345, 0, 20000, 1.5 and a number of another kind, as the server writes them.
        #expect(value(1700, [0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 0x09, 0x29]) == .integer(12345))
        #expect(value(1700, [0, 2, 0, 1, 0x40, 0, 0, 0, 0, 1, 0x09, 0x29]) == .integer(-12345))
        #expect(value(1700, [0, 0, 0, 0, 0, 0, 0, 0]) == .integer(0))
        #expect(value(1700, [0, 1, 0, 1, 0, 0, 0, 0, 0, 2]) == .integer(20000))
        #expect(value(1700, [0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88]) == .real(1.5))
        #expect(value(1700, [0, 0, 0, 0, 0xc0, 0, 0, 0]) == nil)
        #expect(value(2950, [UInt8](repeating: 0, count: 16)) == nil)
    }
}
