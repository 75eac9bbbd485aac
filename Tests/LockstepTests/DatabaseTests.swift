import AuthService
import Foundation
import LibCrypto
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import lockstep

/// Data that moves: from SQLite to PostgreSQL, and from a file into accounts.
@Suite struct DatabaseTests {
    private static let hash = "$2b$12$abcdefghijklmnopqrstuuN5EBuDcnBYyIGLjA2QuJT7cqG8zN9Ci"

    private static func line(_ email: String, _ name: String = "Ada") -> String {
        #"{"email":"\#(email)","name":"\#(name)","password_hash":"\#(hash)","email_verified":true}"#
    }

    private static func users(_ url: String) async throws -> [(email: String, name: String)] {
        let database = try await Database.open(url: url)
        let users = try await database.read { connection in
            try connection.query("SELECT email, name FROM users ORDER BY email") { row in
                (email: try row.get("email", as: String.self), name: try row.get("name", as: String.self))
            }
        }
        await database.close()
        return users
    }

    private static func add(_ file: String, to url: String, skip: Int = 0) async throws -> UserImport.Report {
        try await UserImport(file: file, skip: skip, clock: SystemClock(SystemWallClock())).run(to: url) { _ in }
    }

    @Test(.everyEngine) func accountsComeOnceWhateverTheFileRepeats() async throws {
        let directory = try TemporaryDirectory()
        let url = try await Engine.current.freshURL(directory.path("auth.sqlite"))
        let file = directory.path("users.jsonl")
        // More than a batch, each fourth address again, in another spelling.
        let lines = (0..<12_000).map { Self.line($0 % 4 == 3 ? "USER\($0 - 3)@example.com " : "user\($0)@example.com") }
        let odd = [
            "", "no json", Self.line("no address"), Self.line("x@example.com").replacing("$2b$", with: "$1$"),
            Self.line("y@example.com", String(repeating: "n", count: 300)),
        ]
        try (lines + odd).joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let report = try await Self.add(file, to: url)
        #expect(report.added == 9000 && report.known == 3000 && report.lines == 12_005)
        #expect(report.refused == [.notJSON: 1, .email: 1, .hash: 1, .name: 1])
        #expect(!report.refusals.contains("example.com"))
        // The empty line is one of the file, too.
        #expect(report.refusals.hasPrefix("Left out: 1 line: not a JSON object with an email (line 12002); 1 line: the address"))
        // Again, and from where it was.
        #expect(try await Self.add(file, to: url).added == 0)
        let rest = try await Self.add(file, to: url, skip: 11_000)
        #expect(rest.done == 1005 && rest.lines == 12_005)
        #expect(try await Self.users(url).count == 9000)
    }

    @Test func aFileMayBeCompressedAndIsNotTrusted() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("users.jsonl")
        try [Self.line("a@example.com"), Self.line("b@example.com")].joined(separator: "\n")
            .write(toFile: file, atomically: true, encoding: .utf8)
        let gzip = Process()
        gzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        gzip.arguments = ["gzip", file]
        try gzip.run()
        gzip.waitUntilExit()
        let url = "sqlite:\(directory.path("auth.sqlite"))"
        #expect(try await Self.add(file + ".gz", to: url).added == 2)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file + ".gz"))
        try bytes.prefix(bytes.count - 10).write(to: URL(fileURLWithPath: file + ".gz"))
        await #expect(throws: CommandFailure.self) { _ = try await Self.add(file + ".gz", to: url) }
    }

    @Test func anImportRemembersWhereItWas() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("users.jsonl")
        try "a".write(toFile: file, atomically: true, encoding: .utf8)
        let mark = ImportMark(file: file, state: directory.url.path)
        #expect(mark.lines == 0)
        #expect(mark.keep(5000))
        #expect(ImportMark(file: file, state: directory.url.path).lines == 5000)
        // Another file, even under that name, begins at its beginning.
        try "ab".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(ImportMark(file: file, state: directory.url.path).lines == 0)
    }

    private static func command(_ directory: TemporaryDirectory, _ file: String, to database: String) throws -> ImportCommand.Users {
        let arguments = [directory.path(file), "--to", "sqlite:\(directory.path(database))", "--state", directory.url.path]
        return try #require(try ImportCommand.parseAsRoot(["users"] + arguments) as? ImportCommand.Users)
    }

    @Test func anInterruptedImportIsTakenUpByTheSameCommand() async throws {
        let directory = try TemporaryDirectory()
        let lines = (0..<60_000).map { Self.line("user\($0)@example.com") }
        try lines.joined(separator: "\n").write(toFile: directory.path("users.jsonl"), atomically: true, encoding: .utf8)
        let interrupted = Task {
            // The first report after a batch that is in.
            _ = try await Self.command(directory, "users.jsonl", to: "auth.sqlite").imported { _ in
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        await #expect(throws: CancellationError.self) { try await interrupted.value }
        let url = "sqlite:\(directory.path("auth.sqlite"))"
        let some = try await Self.users(url).count
        #expect(some >= 5000 && some < 60_000)
        let report = try await Self.command(directory, "users.jsonl", to: "auth.sqlite").imported { _ in }
        #expect(report.lines == 60_000 && report.done < 60_000 && report.done <= 55_000, "it went on: \(report.line)")
        #expect(report.refused.isEmpty)
        #expect(try await Self.users(url).count == 60_000)
        #expect(!FileManager.default.fileExists(atPath: directory.path("import-users.mark")))
    }

    @Test func anImportThatCannotBeTakenUpSaysSoOnce() async throws {
        let directory = try TemporaryDirectory()
        let lines = (0..<12_000).map { Self.line("user\($0)@example.com") }
        try lines.joined(separator: "\n").write(toFile: directory.path("users.jsonl"), atomically: true, encoding: .utf8)
        let arguments = [
            directory.path("users.jsonl"), "--to", "sqlite:\(directory.path("auth.sqlite"))", "--state", directory.path("nowhere"),
        ]
        let command = try #require(try ImportCommand.parseAsRoot(["users"] + arguments) as? ImportCommand.Users)
        var said: [String] = []
        #expect(try await command.imported { said.append($0) }.added == 12_000)
        #expect(said.filter { $0.contains("import-users.mark cannot be written") }.count == 1, "\(said)")
    }

    /// Some are confirmed, some say nothing of it, some say no.
    @Test(.everyEngine) func unconfirmedAccountsAreCountedAndToldAndTheImportIsAudited() async throws {
        let directory = try TemporaryDirectory()
        let url = try await Engine.current.freshURL(directory.path("auth.sqlite"))
        let file = directory.path("users.jsonl")
        let open = Self.line("b@example.com").replacing(#","email_verified":true"#, with: "")
        let lines = [Self.line("a@example.com"), open, Self.line("c@example.com").replacing("true", with: "false")]
        try lines.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let report = try await Self.add(file, to: url)
        #expect(report.added == 3 && report.unconfirmed == 2 && report.line.contains("3 accounts added (2 unconfirmed), 0 known"))
        #expect(report.advice?.contains("2 accounts were added without") == true)
        let again = try await Self.add(file, to: url)
        #expect(again.added == 0 && again.unconfirmed == 0 && again.advice == nil)
        let database = try await Database.open(url: url)
        let rows = try await database.read {
            try $0.query("SELECT actor, detail FROM audit_events WHERE event = 'users_imported'") {
                (actor: try $0.get("actor", as: String.self), detail: try $0.get("detail", as: String.self))
            }
        }
        await database.close()
        let digest = try SHA256.hexHash(Data(contentsOf: URL(fileURLWithPath: file)))
        #expect(rows.map(\.actor) == ["operator"])
        #expect(rows.map(\.detail) == ["3 added, 2 of them unconfirmed; file sha256:\(digest)"])
    }

    @Test func anImportIsReportedOnceAndNamesLines() async throws {
        let directory = try TemporaryDirectory()
        let lines = (1...12_000).map { $0 % 1500 == 0 ? "{}" : $0 == 7 ? Self.line("nobody") : Self.line("user\($0)@example.com") }
        try lines.joined(separator: "\n").write(toFile: directory.path("users.jsonl"), atomically: true, encoding: .utf8)
        var said: [String] = []
        let report = try await Self.command(directory, "users.jsonl", to: "auth.sqlite").imported { said.append($0) }
        // Three batches: the last one is in the answer.
        #expect(said.count == 2 && !said.contains(report.line), "\(said)")
        #expect(
            report.refusals == "Left out: 8 lines: not a JSON object with an email (lines 1500, 3000, 4500, 6000, 7500, ...); "
                + "1 line: the address is not valid (line 7).")
    }

    @Test func anImportThatCannotBeginMakesNothing() async throws {
        let directory = try TemporaryDirectory()
        let noFile = await #expect(throws: CommandFailure.self) {
            _ = try await Self.command(directory, "nope.jsonl", to: "auth.sqlite").imported { _ in }
        }
        #expect(noFile?.status == 66 && noFile?.description == "\(directory.path("nope.jsonl")): no such file.")
        let noText = await #expect(throws: CommandFailure.self) {
            _ = try await Self.command(directory, "", to: "auth.sqlite").imported { _ in }
        }
        #expect(noText?.status == 66)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
        try Self.line("a@example.com").write(toFile: directory.path("users.jsonl"), atomically: true, encoding: .utf8)
        let noFolder = await #expect(throws: CommandFailure.self) {
            _ = try await Self.command(directory, "users.jsonl", to: "nowhere/auth.sqlite").imported { _ in }
        }
        #expect(noFolder?.status == 66 && noFolder?.description.contains("`lockstep certs` makes") == true)
        #expect(noFolder?.description.contains("goes on") == false)
    }

    /// A source that is mistyped, of nobody, or without rows leaves the target's rows where they are.
    @Test func nothingDoesNotReplaceSomething() async throws {
        let directory = try TemporaryDirectory()
        let target = try await PostgresServer.shared.freshURL()
        try Self.line("a@example.com").write(toFile: directory.path("users.jsonl"), atomically: true, encoding: .utf8)
        _ = try await Self.add(directory.path("users.jsonl"), to: target)
        await (try Database.open(url: "sqlite:\(directory.path("new.sqlite"))")).close()
        let empty = try await Database.open(url: "sqlite:\(directory.path("empty.sqlite"))")
        try await empty.migrate(AuthMigrations.all)
        await empty.close()
        for (file, status, text) in [
            ("mistyped.sqlite", 66, "no such file"), ("new.sqlite", 65, "never used it"), ("empty.sqlite", 65, "holds no rows"),
        ] as [(String, Int32, String)] {
            let failure = await #expect(throws: CommandFailure.self) {
                let copy = DatabaseCopy(service: .auth, isReplacing: true) { _ in }
                _ = try await copy.run(from: "sqlite:\(directory.path(file))", to: target)
            }
            #expect(failure?.status == status && failure?.description.contains(text) == true, "\(file): \(String(describing: failure))")
            #expect(try await Self.users(target).count == 1, "\(file)")
        }
        #expect(!FileManager.default.fileExists(atPath: directory.path("mistyped.sqlite")))
    }

    @Test func aCopyHoldsEverythingAndIsCompared() async throws {
        let directory = try TemporaryDirectory()
        let source = "sqlite:\(directory.path("auth.sqlite"))"
        let target = try await PostgresServer.shared.freshURL()
        let file = directory.path("users.jsonl")
        try (0..<6000).map { Self.line("user\($0)@example.com", "Ädä \($0)") }.joined(separator: "\n")
            .write(toFile: file, atomically: true, encoding: .utf8)
        _ = try await Self.add(file, to: source)
        let from = try await Database.open(url: source)
        try await from.write { transaction in
            try transaction.execute(
                """
                INSERT INTO known_agents (user_id, agent_hash, sign_ins, last_seen_at)
                SELECT id, :hash, 1, 5 FROM users WHERE email LIKE 'user1%'
                """, ["hash": [0, 255, 7] as [UInt8]])
            try transaction.execute("UPDATE revocation_counter SET value = 41")
        }
        await from.close()
        let copy = DatabaseCopy(service: .auth) { _ in }
        let tallies = try await copy.run(from: source, to: target)
        #expect(tallies.first { $0.table == "users" }?.rows == 6000)
        #expect(tallies.first { $0.table == "known_agents" }?.rows == 1111)
        #expect(DatabaseCommand.Copy.report(tallies).contains("users: 6000 rows, checksum "))
        let (old, new) = (try await Self.users(source), try await Self.users(target))
        #expect(old.map(\.email).sorted() == new.map(\.email).sorted() && new.contains { $0.name == "Ädä 77" })
        let to = try await Database.open(url: target)
        let value = try await to.read { try $0.one("SELECT value FROM revocation_counter").get("value", as: Int.self) }
        #expect(value == 41)
        await to.close()
        // What is there is not overwritten, unless that is said.
        await #expect(throws: CommandFailure.self) { _ = try await copy.run(from: source, to: target) }
        let again = try await DatabaseCopy(service: .auth, isReplacing: true) { _ in }.run(from: source, to: target)
        #expect(again == tallies)
    }
}
