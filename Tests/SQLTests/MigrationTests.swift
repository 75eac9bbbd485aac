import SQL
import TestSupport
import Testing

@Suite(.everyEngine) struct MigrationTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    private static var tables: String {
        Engine.current == .sqlite
            ? "SELECT name FROM sqlite_schema WHERE type = 'table'"
            : "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    }

    private let second = Migration(version: 2, name: "colour", sql: "ALTER TABLE items ADD COLUMN colour TEXT;")

    @Test func appliesWhatIsMissingAndNothingTwice() async throws {
        let database = try await fixture.open()
        #expect(try await database.migrate([.items]) == [1])
        try await database.insert(1)
        #expect(try await database.migrate([.items]) == [])
        #expect(try await database.migrate([.items, second]) == [2])
        #expect(try await database.migrate([.items, second]) == [])
        #expect(try await database.count() == 1)
    }

    @Test func whatIsAppliedIsToldWithoutChangingIt() async throws {
        let database = try await fixture.open()
        #expect(try await database.applied(of: [.items]) == 0)
        let tables = Self.tables
        #expect(try await database.read { try $0.query(tables).count } == 0)
        try await database.migrate([.items])
        #expect(try await database.applied(of: [.items, second]) == 1)
        let other = Migration(version: 1, name: "other", sql: "CREATE TABLE other (id BIGINT PRIMARY KEY);")
        #expect(await failure { _ = try await database.applied(of: [other]) } == .migration)
    }

    @Test func anEditedMigrationIsRefused() async throws {
        let database = try await fixture.openWithItems()
        let edited = Migration(version: 1, name: "items", sql: Migration.items.sql + "\n-- edited")
        #expect(await failure { try await database.migrate([edited]) } == .migration)
    }

    @Test func aNewerDatabaseIsRefused() async throws {
        let database = try await fixture.openWithItems()
        try await database.migrate([.items, second])
        #expect(await failure { try await database.migrate([.items]) } == .migration)
    }

    @Test func numbersHaveNoGaps() async throws {
        let database = try await fixture.open()
        #expect(
            await failure { try await database.migrate([.items, Migration(version: 3, name: "x", sql: "")]) }
                == .migration)
    }

    @Test func aFailingMigrationLeavesNothing() async throws {
        let database = try await fixture.open()
        let broken = Migration(version: 2, name: "broken", sql: "CREATE TABLE extra (a TEXT); CREATE TABLE items (b TEXT);")
        #expect(await failure { try await database.migrate([.items, broken]) } == .misuse)
        let tables = try await database.read { [sql = Self.tables] in try $0.query(sql) }
        #expect(tables.isEmpty)
        #expect(try await database.migrate([.items]) == [1])
    }

    @Test func twoProcessesMigrateOnce() async throws {
        let first = try await fixture.open()
        let other = try await fixture.open()
        async let a = first.migrate([.items, second])
        async let b = other.migrate([.items, second])
        #expect(try await (a + b).sorted() == [1, 2])
    }
}
