import SQL
import Testing

/// SQLite's one writer, which puts many transactions into one commit.
@Suite struct GroupCommitTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    @Test func concurrentTransactionsShareCommits() async throws {
        let database = try await fixture.openWithItems()
        let before = database.statistics
        let results = try await storm(database, count: 200) { try await database.insert($0) }
        let after = database.statistics
        for result in results { try result.get() }
        #expect(try await database.count() == 200)
        #expect(after.transactions - before.transactions == 201)
        #expect(after.commits - before.commits < 100, "\(after.commits - before.commits) commits for 200 transactions")
    }

    /// SQLite rolls the whole transaction back when a write is interrupted: the neighbours are run again.
    @Test func anInterruptedTransactionDoesNotUndoItsNeighbours() async throws {
        let database = try await fixture.openWithItems { $0.bodyTimeout = .milliseconds(100) }
        let results = try await storm(database, count: 9) { index in
            try await database.write { transaction in
                try transaction.insert(index)
                guard index == 4 else { return }
                _ = try transaction.execute(
                    """
                    INSERT INTO items (id, name) WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n)
                    SELECT i, 'n' || i FROM n
                    """)
            }
        }
        for (index, result) in results.enumerated() where index != 4 { try result.get() }
        #expect(await failure { try results[4].get() } == .timeout)
        #expect(try await database.count() == 8)
    }
}
