import Foundation
import SQL
import TestSupport
import Testing

/// Group commit, isolation, cancellation, deadlines and bounds.
@Suite(.everyEngine) struct TransactionTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    private struct Mistake: Error {}

    @Test func aFailingTransactionHarmsOnlyItself() async throws {
        let database = try await fixture.openWithItems()
        let results = try await storm(database, count: 60) { index in
            try await database.write { transaction in
                try transaction.insert(index)
                if index % 3 == 0 { throw Mistake() }
                if index % 3 == 1 { try transaction.insert(index) }
            }
        }
        let ids = try await database.read {
            try $0.query("SELECT id FROM items ORDER BY id") { try $0.get("id", as: Int.self) }
        }
        #expect(ids == (0..<60).filter { $0 % 3 == 2 })
        for (index, result) in results.enumerated() {
            switch index % 3 {
            case 0: #expect(throws: Mistake.self) { try result.get() }
            case 1: #expect(throws: SQLError.self) { try result.get() }
            default: #expect(throws: Never.self) { try result.get() }
            }
        }
    }

    @Test func aDeferredForeignKeyFailsItsOwnTransactionOnly() async throws {
        let database = try await fixture.openWithItems()
        let results = try await storm(database, count: 20) { index in
            try await database.write { transaction in
                _ = try transaction.execute(
                    "INSERT INTO items (id, name, parent) VALUES (:id, :name, :parent)",
                    ["id": index, "name": "n\(index)", "parent": index == 7 ? 1000 : index])
            }
        }
        for (index, result) in results.enumerated() where index != 7 { try result.get() }
        #expect(await failure { try results[7].get() } == .constraint(.foreignKey))
        #expect(try await database.count() == 19)
    }

    @Test func readersSeeCommittedDataOnlyAndBesideTheWriter() async throws {
        let database = try await fixture.openWithItems()
        let gate = Gate()
        async let writing: Void = database.write { transaction in
            try transaction.insert(1)
            gate.hold()
        }
        await gate.waitUntilHeld()
        #expect(try await database.count() == 0)
        gate.open()
        try await writing
        #expect(try await database.count() == 1)
    }

    @Test func aReaderKeepsItsSnapshot() async throws {
        let database = try await fixture.openWithItems()
        let gate = Gate()
        async let counts: [Int] = database.read { connection in
            let first: Int = try connection.one("SELECT count(*) AS n FROM items").get("n")
            gate.hold()
            return [first, try connection.one("SELECT count(*) AS n FROM items").get("n")]
        }
        await gate.waitUntilHeld()
        try await database.insert(1)
        gate.open()
        #expect(try await counts == [0, 0])
        #expect(try await database.count() == 1)
    }

    @Test func cancelledWhileQueuedNeverRuns() async throws {
        let database = try await fixture.openNarrow()
        let gate = Gate()
        let held = Task { try await database.write { _ in gate.hold() } }
        await gate.waitUntilHeld()
        let waiting = Task { try await database.insert(1) }
        waiting.cancel()
        // Answered while the writer is still held: it did not wait for its turn.
        await #expect(throws: CancellationError.self) { try await waiting.value }
        gate.open()
        try await held.value
        #expect(try await database.count() == 0)
    }

    @Test func aDeadlineEndsTheWaitInTheQueue() async throws {
        let database = try await fixture.openNarrow()
        let gate = Gate()
        let held = Task { try await database.write { _ in gate.hold() } }
        await gate.waitUntilHeld()
        let kind = await failure {
            try await database.write(deadline: .now.advanced(by: .milliseconds(20))) { try $0.insert(1) }
        }
        #expect(kind == .timeout)
        gate.open()
        try await held.value
        #expect(try await database.count() == 0)
    }

    @Test func aDeadlineInterruptsALongRead() async throws {
        let database = try await fixture.open()
        let kind = await failure {
            _ = try await database.read(deadline: .now.advanced(by: .milliseconds(50))) {
                try $0.one("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS m FROM n")
            }
        }
        #expect(kind == .timeout)
        // The connection is fit for use again.
        #expect(try await database.read { try $0.one("SELECT 1 AS a").get("a", as: Int.self) } == 1)
    }

    @Test func aFullQueueRefuses() async throws {
        let database = try await fixture.openNarrow { $0.queueLimit = 2 }
        let gate = Gate()
        let held = Task { try await database.write { _ in gate.hold() } }
        await gate.waitUntilHeld()
        let refusal = AsyncStream<SQLError.Kind?>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for id in 0..<3 {
                group.addTask {
                    do {
                        try await database.insert(id)
                    } catch let error as SQLError where error.kind == .refused {
                        #expect(error.isTransient)
                        refusal.continuation.yield(error.kind)
                    }
                }
            }
            for await kind in refusal.stream {
                #expect(kind == .refused)
                break
            }
            gate.open()
            try await group.waitForAll()
        }
        try await held.value
        #expect(try await database.count() == 2)
        #expect(database.statistics.refusals == 1)
    }

    @Test func aLockHeldByAnotherProcessIsBusy() async throws {
        let first = try await fixture.openWithItems()
        let second = try await fixture.open { $0.busyTimeout = .milliseconds(30) }
        let gate = Gate()
        let held = Task {
            try await first.write { transaction in
                try transaction.insert(1)
                gate.hold()
            }
        }
        await gate.waitUntilHeld()
        #expect(await failure { try await second.insert(1) } == .busy)
        gate.open()
        try await held.value
        try await second.insert(2)
        #expect(try await first.count() == 2)
    }

    @Test func closeFinishesWhatIsQueuedAndRefusesTheRest() async throws {
        let database = try await fixture.openNarrow()
        let gate = Gate()
        let held = Task { try await database.write { _ in gate.hold() } }
        await gate.waitUntilHeld()
        async let closing: Void = database.close()
        gate.open()
        try await held.value
        await closing
        #expect(await failure { try await database.insert(2) } == .closed)
        #expect(await failure { _ = try await database.count() } == .closed)
        // Closed cleanly: the log has been folded into the file.
        #expect(!FileManager.default.fileExists(atPath: fixture.path + "-wal"))
    }
}
