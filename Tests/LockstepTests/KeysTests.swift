import ContractClients
import Contracts
import EncryptionService
import Foundation
@testable import lockstep
import RPCCore
import RPCInProcess
import SQL
import TestSupport
import Testing

/// The commands against the real service in memory.
@Suite struct KeysTests {
    private let directory: TemporaryDirectory
    private let composition: Composition
    private let desk: KeyDesk

    init() throws {
        directory = try TemporaryDirectory()
        let settings = EncryptionSettings(
            location: KeyringLocation(keyring: directory.path("keyring"), masterKey: directory.path("master.key")),
            keys: ["token-vault:AEAD"].compactMap(KeySpecification.init), mayCreate: true,
            policy: try KeyPolicy(json: KeyPolicy.standardText), rounds: 10, minimumPassword: 15,
            issuer: "https://lockstep.local", skew: 5, publishLead: 300)
        composition = try Composition.make(settings, report: { _ in })
        desk = KeyDesk(
            channel: try InProcessChannel(sync: composition.handlers, peer: "operator"), patience: .seconds(60))
    }

    private func run<Command: KeyCommand>(_ command: Command.Type, _ arguments: String...) async throws -> [String] {
        let parsed = try #require(try KeysCommand.parseAsRoot([Command.configuration.commandName ?? ""] + arguments) as? Command)
        return try await parsed.lines(desk)
    }

    @Test func aKeysLife() async throws {
        defer { composition.keeper.stop() }
        let made = try await run(CreateKey.self, "invoices", "--usage", "AEAD", "--rotate-after", "90d", "--exportable")
        #expect(made[0] == "invoices" && made.contains("  rotates          every 90d"), "\(made)")
        let rotated = try await run(RotateKey.self, "invoices")
        #expect(rotated.contains("  primary version  2"), "\(rotated)")
        let configured = try await run(
            ConfigureKey.self, "invoices", "--min-decryption-version", "2", "--rotate-after", "never")
        #expect(configured.contains("  opens from       version 2") && configured.contains("  rotates          by hand"))
        let disabled = try await run(DisableKey.self, "invoices")
        #expect(disabled.contains("  state            disabled"))
        let enabled = try await run(EnableKey.self, "invoices")
        #expect(enabled.contains("  state            enabled"))
        let file = directory.path("exported")
        let exported = try await run(ExportKey.self, "invoices", "--out", file)
        #expect(exported == ["\(file): version 2 of invoices. The audit log says that it left."])
        #expect(try Data(contentsOf: URL(filePath: file)).count == 32)
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
        let destroyed = try await run(DestroyKey.self, "invoices", "--days", "7")
        #expect(destroyed[0].hasPrefix("invoices cannot be used any more and is destroyed at 20"))
        let list = try await run(ListKeys.self)
        #expect(list.count == 3 && list[1].hasPrefix("invoices     AEAD   2        destroyed at"), "\(list)")
        let kept = try await run(KeepKey.self, "invoices")
        #expect(kept == ["invoices stays. It is disabled; `lockstep keys enable invoices` lets it be used."])
        let json = try await run(DescribeKey.self, "invoices", "--json")
        #expect(json.count == 1 && json[0].contains(#""state":"DISABLED""#))
    }

    @Test func refusalsAreTold() async throws {
        defer { composition.keeper.stop() }
        do {
            _ = try await run(ExportKey.self, "token-vault", "--out", directory.path("never"))
            Issue.record("exported")
        } catch {
            #expect((error as? RPCError)?.reason == "key_not_exportable")
        }
        #expect(!FileManager.default.fileExists(atPath: directory.path("never")))
        #expect(throws: (any Error).self) { try KeysCommand.parseAsRoot(["configure", "a"]) }
        #expect(throws: (any Error).self) { try KeysCommand.parseAsRoot(["create", "a", "--usage", "RSA"]) }
    }

    /// Ciphertexts of two versions in a table, some of them damaged; and a second run, which finds nothing to do.
    @Test(.everyEngine) func aTableIsRewrapped() async throws {
        // Each engine has a service of its own.
        try await KeysTests().rewrapsATable()
    }

    private func rewrapsATable() async throws {
        defer { composition.keeper.stop() }
        let token = EncryptionServiceClient(try InProcessChannel(sync: composition.handlers, peer: "token"))
        let tokenDesk = KeyDesk(channel: token.channel, patience: .seconds(60))
        func sealed(_ range: Range<Int>) async throws -> [[Value]] {
            let results = try await token.batchEncrypt(
                .with {
                    $0.keyName = "token-vault"
                    $0.items = range.map { number in
                        .with {
                            $0.plaintext = Data("secret \(number)".utf8)
                            $0.context = Data("con_\(number)/access_token".utf8)
                        }
                    }
                }
            ).results
            return zip(range, results).map { [.text("con_\($0)"), .bytes(Array($1.ciphertext))] }
        }
        var rows = try await sealed(0..<2500)
        _ = try await run(RotateKey.self, "token-vault")
        rows += try await sealed(2500..<2600)
        for index in [7, 1500] {
            guard case .bytes(var bytes) = rows[index][1] else { continue }
            bytes[20] ^= 1
            rows[index][1] = .bytes(bytes)
        }
        let database = try await Database.open(url: try await Engine.current.freshURL(directory.path("t.sqlite")))
        let table = "CREATE TABLE sealed (id TEXT PRIMARY KEY, access_token BLOB);"
        try await database.migrate([Migration(version: 1, name: "sealed", sql: table)])
        let all = rows
        try await database.write { transaction in
            _ = try transaction.insert(into: "sealed", columns: ["id", "access_token"], rows: all)
        }
        let rewrap = try KeyRewrap(
            key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "{id}/access_token")
        let first = try await rewrap.run(database, tokenDesk) { _ in }
        #expect((first.rewrapped, first.current, first.changed, first.failed) == (2498, 100, 0, 2), "\(first)")
        let sentence = "The ciphertext does not decrypt with this key and context."
        #expect(first.failures.sorted() == ["con_1500: " + sentence, "con_7: " + sentence])
        let second = try await rewrap.run(database, tokenDesk) { _ in }
        #expect((second.rewrapped, second.current, second.failed) == (0, 2598, 2))
        let one = try await database.read { connection in
            try connection.first("SELECT access_token FROM sealed WHERE id = 'con_42'") {
                try $0.get("access_token", as: [UInt8].self)
            }
        }
        let opened = try await token.decrypt(
            .with {
                $0.keyName = "token-vault"
                $0.ciphertext = Data(one ?? [])
                $0.context = Data("con_42/access_token".utf8)
            })
        #expect(opened.plaintext == Data("secret 42".utf8))
        await database.close()
        #expect(throws: CommandFailure.self) { try KeyRewrap(key: "k", table: "a;b", column: "c", id: "id", context: "") }
        #expect(throws: CommandFailure.self) { try KeyRewrap(key: "k", table: "a", column: "c", id: "id", context: "{id") }
    }

    @Test func theAuditLogIsChecked() async throws {
        for _ in 0..<3 { _ = try await run(RotateKey.self, "token-vault") }
        composition.keeper.stop()
        let log = Array(try Data(contentsOf: URL(filePath: directory.path("keyring.audit"))))
        var check = AuditCheck()
        #expect(try check.take(log, of: "log") == "log: 4 records, each follows the one before it.")
        let conclusion = try check.conclusion
        #expect(conclusion.hasPrefix("It begins with record 1. The last is record 4, hash "))
        let lines = log.split(separator: UInt8(ascii: "\n")).map { $0 + [UInt8(ascii: "\n")] }
        // Two files are one log.
        var split = AuditCheck()
        _ = try split.take(Array(lines[..<2].joined()), of: "old")
        _ = try split.take(Array(lines[2...].joined()), of: "new")
        #expect(try split.conclusion == conclusion)
        var late = AuditCheck(mayLackBeginning: true)
        _ = try late.take(Array(lines[2...].joined()), of: "new")
        #expect(try late.conclusion.hasPrefix("It begins with record 3: older files are not among these."))
        let empty = #expect(throws: CommandFailure.self) { try AuditCheck().conclusion }
        #expect(empty?.status == 65)
        // What was kept elsewhere is held against the log.
        let kept = try #require(AuditAnchor(argument: "4:" + conclusion.suffix(65).dropLast()))
        for (bytes, anchor, isHeld) in [
            (log, kept.head, true), (Array(lines[..<3].joined()), kept.head, false),
            (log, AuditHead(sequence: 3, hash: kept.head.hash), false),
        ] {
            var check = AuditCheck(held: anchor)
            if isHeld {
                _ = try check.take(bytes, of: "log")
                #expect(try check.conclusion == conclusion)
            } else {
                let failure = #expect(throws: CommandFailure.self) {
                    _ = try check.take(bytes, of: "log")
                    _ = try check.conclusion
                }
                #expect(failure?.status == 65)
            }
        }
        #expect(AuditAnchor(argument: "4") == nil && AuditAnchor(argument: "4:ab") == nil)
        var flipped = log
        flipped[lines[0].count + 100] ^= 1
        let damaged: [(String, [UInt8])] = [
            ("line 3: its number is 4, and 3 is next: records are missing or moved.", Array((lines[..<2] + lines[3...]).joined())),
            ("line 2: its hash is not that of its text.", flipped),
            ("line 4: it has no end; the file was cut off there.", log.dropLast()),
        ]
        var headless = AuditCheck()
        let missing = #expect(throws: CommandFailure.self) { _ = try headless.take(Array(lines[2...].joined()), of: "log") }
        #expect(missing?.description.hasPrefix("log begins with record 3: records 1 to 2 are missing.") == true && missing?.status == 65)
        for (expected, bytes) in damaged {
            let failure = #expect(throws: CommandFailure.self) {
                var check = AuditCheck()
                _ = try check.take(bytes, of: "log")
            }
            #expect(failure?.description == "log, " + expected && failure?.status == 65)
        }
    }
}
