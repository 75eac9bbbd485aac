import Foundation
import SQL
import TestSupport
import Testing

/// What was acknowledged stays.
@Suite(.everyEngine) struct DurabilityTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
    }

    /// A child process writes from many tasks, notes each acknowledged id in a file, and is killed at its busiest. What
    /// it had noted must be in the database, whole.
    @Test func killedProcessLosesNothingAcknowledged() async throws {
        let url = fixture.url
        let notes = fixture.folder.appendingPathComponent("acknowledged").path
        await #expect(processExitsWith: .signal(SIGKILL)) { [url = url as String, notes = notes as String] in
            let database = try await Database.open(url: url)
            try await database.migrate([.items])
            let file = open(notes, O_CREAT | O_WRONLY | O_APPEND, 0o600)
            await withTaskGroup(of: Void.self) { group in
                for writer in 0..<16 {
                    group.addTask {
                        for round in 0... {
                            let id = writer * 100_000 + round * 2
                            try? await database.write { transaction in
                                try transaction.insert(id)
                                try transaction.insert(id + 1)
                            }
                            let line = Array("\(id)\n".utf8)
                            _ = write(file, line, line.count)
                            if writer == 7, round == 20 { kill(getpid(), SIGKILL) }
                        }
                    }
                }
            }
        }
        let acknowledged = try String(contentsOfFile: notes, encoding: .utf8).split(separator: "\n").compactMap {
            Int($0)
        }
        #expect(acknowledged.count > 20)
        let database = try await fixture.open()
        let ids = try await database.read {
            Set(try $0.query("SELECT id FROM items") { try $0.get("id", as: Int.self) })
        }
        #expect(acknowledged.allSatisfy { ids.contains($0) && ids.contains($0 + 1) })
        #expect(ids.allSatisfy { ids.contains($0 ^ 1) }, "half a transaction is in the database")
    }
}
