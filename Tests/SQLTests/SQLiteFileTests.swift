import Foundation
import SQL
import Testing

/// SQLite's files: damage, permissions, other processes.
@Suite struct SQLiteFileTests {
    /// Lives as long as the test: one for each.
    private let fixture: Fixture

    init() async throws {
        fixture = try await Fixture()
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
        let copy = try await Fixture()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy.path + suffix)
        }
        let count = try await copy.open().count()
        #expect(count == 2)
    }

    /// The last one to close takes the log away; whoever opens at that moment waits for it, as for any other lock.
    @Test func whoeverOpensWhileTheLastOneClosesWaits() async throws {
        let first = try await fixture.openWithItems()
        try await first.insert(1)
        await first.close()
        let path = fixture.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for opener in 0..<4 {
                group.addTask {
                    for round in 0..<100 {
                        let database = try await Database.open(url: "sqlite:\(path)")
                        // What is written is folded into the file by whoever closes last.
                        try await database.insert(2 + opener * 1000 + round)
                        await database.close()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func aFileThatIsNoDatabaseIsCorrupt() async throws {
        try Data(repeating: 0x58, count: 8192).write(to: URL(fileURLWithPath: fixture.path))
        #expect(await failure { _ = try await fixture.open() } == .corrupt)
    }

    @Test func aMissingFileIsMadeOnlyWhereItMay() async throws {
        #expect(await failure { _ = try await fixture.open { $0.mayCreate = false } } == .unavailable)
        #expect(!FileManager.default.fileExists(atPath: fixture.path))
        let database = try await fixture.openWithItems()
        try await database.insert(1)
        await database.close()
        let count = try await fixture.open { $0.mayCreate = false }.count()
        #expect(count == 1)
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
