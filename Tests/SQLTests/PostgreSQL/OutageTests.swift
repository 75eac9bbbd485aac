import Foundation
import SQL
import Synchronization
import TestSupport
import Testing

/// A server that goes away under load and comes back.
@Suite struct OutageTests {
    /// What became of writes.
    private final class Book: Sendable {
        struct Entries {
            var acknowledged: [Int] = []
            var unknown: [Int] = []
            var failed: [SQLError.Kind] = []
            var other: [String] = []
        }

        let entries = Mutex(Entries())
        let isOver = Atomic(false)
        let next = Atomic(0)

        var counts: (acknowledged: Int, failed: Int) { entries.withLock { ($0.acknowledged.count, $0.failed.count) } }

        /// Writes until it is over, and notes each end.
        func write(to database: Database) async {
            while !isOver.load(ordering: .relaxed) {
                let id = next.add(1, ordering: .relaxed).newValue
                do {
                    try await database.insert(id)
                    entries.withLock { $0.acknowledged.append(id) }
                } catch let error as SQLError where error.kind == .unknownOutcome {
                    entries.withLock { $0.unknown.append(id) }
                } catch let error as SQLError {
                    entries.withLock { $0.failed.append(error.kind) }
                } catch {
                    entries.withLock { $0.other.append("\(error)") }
                }
            }
        }

        func wait(for condition: ((acknowledged: Int, failed: Int)) -> Bool) async {
            while !condition(counts) { await Task.yield() }
        }
    }

    @Test(arguments: [false, true])
    func nothingAcknowledgedIsLostAndWorkGoesOnByItself(isCrash: Bool) async throws {
        let server = try await PostgresServer()
        let url = server.freshURL()
        // Two, as two processes have them.
        let databases = [try await Database.open(url: url), try await Database.open(url: url)]
        for database in databases { try await database.migrate([.items]) }
        let book = Book()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<16 { group.addTask { await book.write(to: databases[index % 2]) } }
            await book.wait { $0.acknowledged > 50 }
            if isCrash { try await server.crash() } else { try await server.stop() }
            let before = book.counts
            await book.wait { $0.failed > before.failed + 100 }
            try await server.start()
            let down = book.counts
            await book.wait { $0.acknowledged > down.acknowledged + 50 }
            book.isOver.store(true, ordering: .relaxed)
            try await group.waitForAll()
        }
        let entries = book.entries.withLock { $0 }
        #expect(entries.other == [])
        let kinds = Set(entries.failed.map { "\($0)" })
        #expect(kinds == ["unavailable"])
        let ids = try await databases[0].read { Set(try $0.query("SELECT id FROM items") { try $0.get("id", as: Int.self) }) }
        #expect(Set(entries.acknowledged).isSubset(of: ids))
        #expect(ids.isSubset(of: entries.acknowledged + entries.unknown))
        for database in databases { await database.close() }
        try await server.stop()
    }

    /// A commit that the server has begun is finished, whoever ends its connection: run again, it would meet itself.
    @Test(.timeLimit(.minutes(2))) func aCommitWhoseConnectionIsEndedIsNotRunTwice() async throws {
        let server = try await PostgresServer()
        // A commit that takes long enough to be met.
        let file = try #require(FileHandle(forWritingAtPath: "\(server.folder)/data/postgresql.conf"))
        try file.seekToEnd()
        try file.write(contentsOf: Data("fsync = on\ncommit_delay = 100000\ncommit_siblings = 0\n".utf8))
        try file.close()
        try await server.stop()
        try await server.start()
        let database = try await Database.open(url: server.freshURL())
        try await database.migrate([.items])
        let watcher = try await Database.open(url: server.url(schema: "public"))
        var (met, unknown) = (0, 0)
        for id in 1...20 {
            let book = Book()
            let writing = Task {
                defer { book.isOver.store(true, ordering: .relaxed) }
                try await database.insert(id)
            }
            while !book.isOver.load(ordering: .relaxed) {
                met += try await watcher.read {
                    try $0.query(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE state = 'active' AND query = 'COMMIT' AND pid <> pg_backend_pid()
                        """
                    ).count
                }
            }
            do {
                try await writing.value
            } catch let error as SQLError {
                #expect(error.kind == .unknownOutcome, "\(error)")
                unknown += 1
            }
        }
        #expect(met > 0, "no commit was met")
        let count = try await database.count()
        #expect(count <= 20 && count >= 20 - unknown)
        for database in [database, watcher] { await database.close() }
        try await server.stop()
    }
}
