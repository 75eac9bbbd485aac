import Foundation
import SQL
import Testing

/// Crashes, damage, permissions.
@Suite struct DurabilityTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    /// A child process writes from many tasks, notes each acknowledged id in a file, and is killed at its busiest. What
    /// it had noted must be in the database, whole.
    @Test func killedProcessLosesNothingAcknowledged() async throws {
        let path = fixture.path
        let notes = fixture.folder.appendingPathComponent("acknowledged").path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, notes = notes as String] in
            let database = try await Database.open(url: "sqlite:\(path)")
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

    /// A process that closes any descriptor of a file loses all its locks on it (POSIX), and another that then closes
    /// the database takes itself for the last, and the log away: whatever is written after that dies with this process.
    @Test func anotherProcessThatComesAndGoesTakesNothingAlong() async throws {
        let database = try await fixture.openWithItems()
        try await database.insert(1)
        let path = fixture.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            let other = try await Database.open(url: "sqlite:\(path)")
            _ = try await other.count()
            await other.close()
        }
        try await database.insert(2)
        // What a kill would leave behind.
        let copy = try Fixture()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy.path + suffix)
        }
        let count = try await copy.open().count()
        #expect(count == 2)
    }

    @Test func aFileThatIsNoDatabaseIsCorrupt() async throws {
        try Data(repeating: 0x58, count: 8192).write(to: URL(fileURLWithPath: fixture.path))
        #expect(await failure { _ = try await fixture.open() } == .corrupt)
    }

    @Test func filesAreForTheirOwnerOnly() async throws {
        let database = try await fixture.openWithItems()
        try await database.insert(1)
        for suffix in ["", "-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: fixture.path + suffix)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(suffix)")
        }
    }

    @Test func settingsAreAsDocumented() async throws {
        let database = try await fixture.open()
        let values = try await database.write { transaction in
            try ["journal_mode", "synchronous", "foreign_keys", "secure_delete"].map { name in
                try transaction.one("SELECT CAST(\(name) AS TEXT) AS value FROM pragma_\(name)").get(
                    "value", as: String.self)
            }
        }
        #expect(values == ["wal", "2", "1", "1"])
    }
}
