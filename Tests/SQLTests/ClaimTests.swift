import SQL
import TestSupport
import Testing

/// Rows taken from a queue by many at once.
@Suite(.everyEngine) struct ClaimTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    private static let claim = Claim(
        from: "items", key: "id", where: "flag = FALSE AND id >= :first", orderedBy: "id", set: "flag = TRUE", returning: "id")

    private func take(_ count: Int, from database: Database) async throws -> [Int] {
        try await database.write(isolation: .readCommitted) {
            try $0.take(Self.claim, limit: count, ["first": 10]) { try $0.get("id", as: Int.self) }
        }
    }

    @Test func eachRowIsTakenByOneAndNobodyWaits() async throws {
        let databases = [try await fixture.openWithItems(), try await fixture.open()]
        try await databases[0].write { for id in 0..<110 { try $0.insert(id) } }
        let taken = try await withThrowingTaskGroup(of: [Int].self) { group in
            for index in 0..<30 { group.addTask { try await take(5, from: databases[index % 2]) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        // Those who met may have found less; nobody found what another had.
        #expect(Set(taken).count == taken.count && taken.allSatisfy { $0 >= 10 })
        var rest = try await take(1000, from: databases[0])
        #expect(Set(rest).isDisjoint(with: taken))
        rest += taken
        #expect(rest.sorted() == Array(10..<110))
    }

    @Test func theOldestGoFirst() async throws {
        let database = try await fixture.openWithItems()
        try await database.write { for id in (10..<20).reversed() { try $0.insert(id) } }
        #expect(try await take(3, from: database).sorted() == [10, 11, 12])
    }

    /// On PostgreSQL what another holds is passed over.
    @Test func whatAnotherHoldsIsPassedOver() async throws {
        guard Engine.current == .postgres else { return }
        let database = try await fixture.openWithItems()
        try await database.write { for id in 10..<13 { try $0.insert(id) } }
        let gate = Gate()
        let holder = Task {
            try await database.write(isolation: .readCommitted) {
                _ = try $0.take(Self.claim, limit: 2, ["first": 10]) { $0 }
                gate.hold()
            }
        }
        await gate.waitUntilHeld()
        #expect(try await take(2, from: database) == [12])
        gate.open()
        try await holder.value
    }
}
