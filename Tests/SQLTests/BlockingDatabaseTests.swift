import Foundation
import SQL
import TestSupport
import Testing

/// Transactions that block their thread, for a thread that may wait.
@Suite struct BlockingDatabaseTests {
    @Test(.everyEngine) func transactions() async throws {
        let fixture = try await Fixture()
        let database = try BlockingDatabase(url: fixture.url)
        #expect(try database.migrate([.items]) == [1])
        #expect(try database.migrate([.items]) == [])
        try database.write { try $0.insert(1) }
        #expect(throws: Interruption.self) {
            try database.write { transaction in
                try transaction.insert(2)
                throw Interruption()
            }
        }
        let duplicate = #expect(throws: SQLError.self) { try database.write { try $0.insert(1) } }
        guard case .constraint? = duplicate?.kind else {
            Issue.record("\(String(describing: duplicate))")
            return
        }
        #expect(try database.read { try $0.one("SELECT count(*) AS n FROM items").get("n", as: Int.self) } == 1)
        database.close()
        #expect(try database.read { try $0.one("SELECT count(*) AS n FROM items").get("n", as: Int.self) } == 1)
    }

    private struct Interruption: Error {}

    /// Both engines let one of two come first, and the other sees what it did.
    @Test(.everyEngine, arguments: [Isolation.serializable, .readCommitted]) func countingByTwo(isolation: Isolation) async throws {
        let fixture = try await Fixture()
        let first = try BlockingDatabase(url: fixture.url)
        try first.migrate([.items])
        try first.write { try $0.insert(1, "0") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    let database = try BlockingDatabase(url: fixture.url)
                    for _ in 0..<50 {
                        try database.write(isolation: isolation) { transaction in
                            // The first statement takes the row.
                            _ = try transaction.execute("UPDATE items SET parent = NULL WHERE id = 1")
                            let name = try transaction.one("SELECT name FROM items WHERE id = 1").get("name", as: String.self)
                            _ = try transaction.execute(
                                "UPDATE items SET name = :name WHERE id = 1", ["name": "\((Int(name) ?? -1000) + 1)"])
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try first.read { try $0.one("SELECT name FROM items").get("name", as: String.self) } == "100")
    }

    @Test func aServerThatWasRestarted() async throws {
        let server = try await PostgresServer()
        let database = try BlockingDatabase(url: server.freshURL())
        try database.migrate([.items])
        try database.write { try $0.insert(1) }
        try await server.stop()
        let gone = #expect(throws: SQLError.self) { try database.write { try $0.insert(2) } }
        #expect(gone?.kind == .unavailable)
        try await server.start()
        // The connection that lay idle is gone; a new one takes its place unasked.
        try database.write { try $0.insert(3) }
        try await server.crash()
        try await server.start()
        try database.write { try $0.insert(4) }
        #expect(try database.read { try $0.one("SELECT count(*) AS n FROM items").get("n", as: Int.self) } == 3)
    }

    @Test func aServerThatDoesNotAnswer() async throws {
        let server = try await PostgresServer()
        let database = try BlockingDatabase(url: server.freshURL(), patience: .milliseconds(200))
        try database.migrate([.items])
        try await server.freeze()
        let silent = #expect(throws: SQLError.self) { try database.write { try $0.insert(1) } }
        #expect([.timeout, .unavailable].contains(silent?.kind))
        try await server.thaw()
        try database.write { try $0.insert(2) }
    }

    @Test func whatIsNoURL() {
        for url in ["mysql://x", "sqlite:", "sqlite::memory:", "postgres://u:secret-word@h:x/"] {
            let error = #expect(throws: SQLError.self) { try BlockingDatabase(url: url) }
            #expect(error?.kind == .unsupported && error?.message.contains("secret-word") == false)
        }
    }
}
