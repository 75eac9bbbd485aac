import SQL
import TestSupport
import Testing

/// Many rows at once.
@Suite(.everyEngine) struct BulkTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    private static let columns = ["id", "name", "blob", "flag"]

    private func rows(_ ids: some Sequence<Int>) -> [[Value]] {
        ids.map { [.integer(Int64($0)), .text("n\($0)é\t\\"), $0 % 2 == 0 ? .null : .bytes([0, 255]), .boolean($0 % 3 == 0)] }
    }

    @Test func everyRowArrivesAsItIs() async throws {
        let database = try await fixture.openWithItems()
        let rows = rows(0..<5000)
        let count = try await database.write { try $0.insert(into: "items", columns: Self.columns, rows: rows) }
        #expect(count == 5000)
        let stored = try await database.read { connection in
            try connection.query("SELECT id, name, blob, flag FROM items ORDER BY id")
        }
        #expect(stored.count == 5000)
        for (row, index) in zip(stored, 0...) {
            let isRight = try row.get("id", as: Int.self) == index && row.get("name", as: String.self) == "n\(index)é\t\\"
                && row.get("blob", as: [UInt8]?.self) == (index % 2 == 0 ? nil : [0, 255])
                && row.get("flag", as: Bool.self) == (index % 3 == 0)
            guard isRight else {
                Issue.record("row \(index) is another")
                return
            }
        }
    }

    @Test func knownRowsAreLeftOut() async throws {
        let database = try await fixture.openWithItems()
        for range in [0..<100, 50..<150] {
            let rows = rows(range)
            let count = try await database.write(isolation: .readCommitted) {
                try $0.insert(into: "items", columns: Self.columns, rows: rows, unlessKnownBy: "id")
            }
            #expect(count == (range.lowerBound == 0 ? 100 : 50))
        }
        #expect(try await database.count() == 150)
    }

    @Test func aRowThatIsRefusedTakesTheOthersAlong() async throws {
        let database = try await fixture.openWithItems()
        let rows = rows([1, 2]) + [[.integer(1), .text("other"), .null, .boolean(false)]]
        let kind = await failure {
            try await database.write { _ = try $0.insert(into: "items", columns: Self.columns, rows: rows) }
        }
        #expect(kind == .constraint(.primaryKey(["items.id"])))
        #expect(try await database.count() == 0)
        // The connection is fit for use again.
        try await database.insert(1)
    }
}
