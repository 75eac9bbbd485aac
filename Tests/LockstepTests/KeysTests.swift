import AuthService
import ContractClients
import Contracts
import EncryptionService
import Foundation
@testable import lockstep
import RPCCore
import RPCInProcess
import SQL
import ServiceKit
import Synchronization
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
        let mistakes = [
            ("nothing", "access_token", "There is no table nothing in that database."),
            ("sealed", "nothing", "sealed has no column nothing."),
            // It begins like one that there is.
            ("sealed", "idd", "sealed has no column idd."),
        ]
        for (table, column, told) in mistakes {
            let stranger = try KeyRewrap(key: "token-vault", table: table, column: column, id: "id", context: "")
            let refusal = await #expect(throws: CommandFailure.self) { try await stranger.run(database, tokenDesk) { _ in } }
            #expect(refusal?.status == 66 && refusal?.description == told + " Nothing was moved.", "\(table).\(column)")
        }
        await database.close()
        #expect(throws: CommandFailure.self) { try KeyRewrap(key: "k", table: "a;b", column: "c", id: "id", context: "") }
        #expect(throws: CommandFailure.self) { try KeyRewrap(key: "k", table: "a", column: "c", id: "id", context: "{id") }
    }

    /// Services that share a keyring.
    private struct Shared {
        let directory: TemporaryDirectory
        let url: String

        init() async throws {
            directory = try TemporaryDirectory()
            url = try await Engine.current.freshURL(directory.path("keyring.sqlite"))
        }

        /// - Parameters: Both in microseconds.
        func open(_ name: String, poll: Int64, lease: Int64 = 60_000_000) throws -> Composition {
            var settings = EncryptionSettings(
                location: KeyringLocation(
                    keyring: directory.path("keyring-\(name)"), masterKey: directory.path("master.key"), database: Redacted(url)),
                keys: ["token-vault:AEAD"].compactMap(KeySpecification.init), mayCreate: true,
                policy: try KeyPolicy(json: KeyPolicy.standardText), rounds: 10, minimumPassword: 15,
                issuer: "https://lockstep.local", skew: 5, publishLead: 300)
            settings.sharing = Sharing(poll: poll, lease: lease)
            return try Composition.make(settings, report: { _ in })
        }

        func desk(_ composition: Composition, _ peer: String, patience: Duration = .seconds(60)) throws -> KeyDesk {
            KeyDesk(channel: try InProcessChannel(sync: composition.handlers, peer: peer), patience: patience)
        }

        /// A process that says nothing more, as the database knows it.
        func addSilentProcess() async throws {
            let database = try await Database.open(url: url)
            try await database.write { transaction in
                _ = try transaction.execute(
                    "INSERT INTO keyring_replicas (id, label, beat, revision) VALUES ('silent', 'silent/1', 1, 1)")
            }
            await database.close()
        }
    }

    /// Questions go to one process and batches to the other, as with connections to several.
    private struct Split: RPCChannel {
        let questions: InProcessChannel
        let batches: InProcessChannel

        func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
            let channel = method.fullName.hasSuffix("BatchRewrap") ? batches : questions
            return try await channel.call(method, request: request, options: options)
        }
    }

    /// A table with ciphertexts of a key's first version.
    private func table(_ directory: TemporaryDirectory, sealedBy composition: Composition, rows count: Int = 50) async throws -> Database {
        let token = EncryptionServiceClient(try InProcessChannel(sync: composition.handlers, peer: "token"))
        let results = try await token.batchEncrypt(
            .with {
                $0.keyName = "token-vault"
                $0.items = (0..<count).map { number in .with { $0.plaintext = Data("secret \(number)".utf8) } }
            }
        ).results
        let rows: [[Value]] = results.enumerated().map { [.text("con_\($0)"), .bytes(Array($1.ciphertext))] }
        let database = try await Database.open(url: "sqlite:\(directory.path("t.sqlite"))")
        let sql = "CREATE TABLE sealed (id TEXT PRIMARY KEY, access_token BLOB);"
        try await database.migrate([Migration(version: 1, name: "sealed", sql: sql)])
        try await database.write { transaction in
            _ = try transaction.insert(into: "sealed", columns: ["id", "access_token"], rows: rows)
        }
        return database
    }

    private func versions(_ database: Database) async throws -> Set<UInt8> {
        let found = try await database.read { connection in
            try connection.query("SELECT access_token FROM sealed") { try $0.get("access_token", as: [UInt8].self) }
        }
        return Set(found.map { $0[4] })
    }

    /// `rotate` returns when the version is in use: what follows it in a script moves rows to it.
    @Test(.everyEngine) func aRotationOfASharedKeyIsWaitedFor() async throws {
        composition.keeper.stop()
        let shared = try await Shared()
        let service = try shared.open("a", poll: 2_000, lease: 1_000_000)
        defer { service.keeper.stop() }
        try await shared.addSilentProcess()
        let key = try await shared.desk(service, "operator").rotate("token-vault")
        #expect(key.primaryVersion == 2 && key.pendingVersion == 0)
    }

    @Test(.everyEngine) func nothingIsMovedBeforeTheVersionIsInUse() async throws {
        composition.keeper.stop()
        let shared = try await Shared()
        let service = try shared.open("a", poll: 2_000)
        defer { service.keeper.stop() }
        let database = try await table(shared.directory, sealedBy: service)
        try await shared.addSilentProcess()
        _ = try? await shared.desk(service, "operator", patience: .milliseconds(1)).rotate("token-vault")
        try await until { service.keeper.keyring["token-vault"]?.next == 3 }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "")
        let refusal = await #expect(throws: CommandFailure.self) {
            try await rewrap.run(database, shared.desk(service, "token", patience: .milliseconds(1))) { _ in }
        }
        #expect(refusal?.status == 75 && refusal?.description.contains("Version 2 of") == true)
        await database.close()
    }

    /// The process that is asked learns of the version later than the one that let it be used.
    @Test(.everyEngine) func whatAnOlderVersionSealedIsNotMoved() async throws {
        composition.keeper.stop()
        let shared = try await Shared()
        // The first one lets it be used when the silent process has lapsed, which the second one learns at its next look.
        let service = try shared.open("a", poll: 2_000, lease: 1_000_000)
        let late = try shared.open("b", poll: 2_000_000)
        defer { for each in [service, late] { each.keeper.stop() } }
        let database = try await table(shared.directory, sealedBy: service)
        try await shared.addSilentProcess()
        _ = try await shared.desk(service, "operator").rotate("token-vault")
        try await until { service.keeper.keyring["token-vault"]?.primary(at: .max / 4).number == 2 }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "")
        let channel = Split(
            questions: try InProcessChannel(sync: service.handlers, peer: "token"),
            batches: try InProcessChannel(sync: late.handlers, peer: "token"))
        let tally = try await rewrap.run(database, KeyDesk(channel: channel, patience: .seconds(60))) { _ in }
        #expect(tally.rewrapped == 50 && tally.failed == 0, "\(tally)")
        #expect(try await versions(database) == [2])
        await database.close()
    }

    /// Batches are passed on after something was done, or not at all.
    private struct Meanwhile: RPCChannel {
        let inner: InProcessChannel
        let before: @Sendable () async throws(RPCError) -> Void

        func call(_ method: MethodDescriptor, request: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
            if method.fullName.hasSuffix("BatchRewrap") { try await before() }
            return try await inner.call(method, request: request, options: options)
        }
    }

    private func value(_ id: String, _ database: Database) async throws -> [UInt8]? {
        try await database.read { connection in
            try connection.first("SELECT access_token FROM sealed WHERE id = :id", ["id": id]) {
                try $0.get("access_token", as: [UInt8].self)
            }
        }
    }

    /// The service writes a row between the moments when it was read and when it would be written.
    @Test func whatTheServiceWritesMeanwhileStays() async throws {
        defer { composition.keeper.stop() }
        let database = try await table(directory, sealedBy: composition)
        let token = EncryptionServiceClient(try InProcessChannel(sync: composition.handlers, peer: "token"))
        let fresh = Array(try await token.encrypt(.with { ($0.keyName, $0.plaintext) = ("token-vault", Data("new".utf8)) }).ciphertext)
        _ = try await run(RotateKey.self, "token-vault")
        let channel = Meanwhile(inner: try InProcessChannel(sync: composition.handlers, peer: "token")) { () throws(RPCError) in
            do {
                try await database.write { transaction in
                    _ = try transaction.execute("UPDATE sealed SET access_token = :new WHERE id = 'con_3'", ["new": fresh])
                    _ = try transaction.execute("DELETE FROM sealed WHERE id = 'con_4'")
                }
            } catch {
                throw RPCError(.internal, "\(error)")
            }
        }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "")
        let tally = try await rewrap.run(database, KeyDesk(channel: channel)) { _ in }
        #expect((tally.rewrapped, tally.changed, tally.failed) == (48, 2, 0), "\(tally)")
        #expect(tally.text == "50 rows: 48 moved to version 2, 0 there already, 2 changed meanwhile.")
        #expect(tally.json == #"{"rows":50,"version":2,"rewrapped":48,"current":0,"changed":2,"failed":0,"failures":[]}"#)
        #expect(try await value("con_3", database) == fresh, "what the service wrote is there, and moved by the next run")
        #expect(try await value("con_4", database) == nil)
        let next = try await rewrap.run(database, KeyDesk(channel: token.channel)) { _ in }
        #expect((next.rewrapped, next.current, next.changed) == (1, 48, 0), "\(next)")
        await database.close()
    }

    /// It ends in the second batch: the first one is moved, and the next run goes on there. Each batch is told of.
    @Test func aRewrapThatWasStoppedGoesOn() async throws {
        defer { composition.keeper.stop() }
        let database = try await table(directory, sealedBy: composition, rows: 2500)
        _ = try await run(RotateKey.self, "token-vault")
        let inner = try InProcessChannel(sync: composition.handlers, peer: "token")
        let calls = Mutex(0)
        let told = Mutex<[String]>([])
        let channel = Meanwhile(inner: inner) { () throws(RPCError) in
            let count = calls.withLock { calls in
                calls += 1
                return calls
            }
            if count == 2 { throw RPCError(.unavailable, "the service is gone", reason: "gone") }
        }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "")
        let failure = await #expect(throws: RPCError.self) {
            _ = try await rewrap.run(database, KeyDesk(channel: channel)) { line in told.withLock { $0.append(line) } }
        }
        #expect(failure?.reason == "gone")
        #expect(told.withLock { $0 } == ["sealed: 1000 rows, 1000 moved to version 2 ..."])
        told.withLock { $0 = [] }
        let tally = try await rewrap.run(database, KeyDesk(channel: inner)) { line in told.withLock { $0.append(line) } }
        #expect((tally.rewrapped, tally.current, tally.failed) == (1500, 1000, 0), "\(tally)")
        #expect(told.withLock { $0 } == [
            "sealed: 1000 rows, 0 moved to version 2 ...", "sealed: 2000 rows, 1000 moved to version 2 ...",
            "sealed: 2500 rows, 1500 moved to version 2 ...",
        ])
        #expect(try await versions(database) == [2])
        await database.close()
    }

    /// Rows of one name would be passed over where a batch ends between them.
    @Test(.everyEngine, arguments: ["owner", "nobody"]) func aColumnThatDoesNotNameRowsIsRefused(column: String) async throws {
        composition.keeper.stop()
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: try await Engine.current.freshURL(directory.path("t.sqlite")))
        let sql = "CREATE TABLE sealed (id TEXT PRIMARY KEY, owner TEXT, nobody TEXT, access_token BLOB);"
        try await database.migrate([Migration(version: 1, name: "sealed", sql: sql)])
        let rows: [[Value]] = (0..<4).map { number in
            [.text("con_\(number)"), .text("usr_\(number / 2)"), number == 0 ? .null : .text("n_\(number)"), .bytes([1, 0, 0, 0, 1, 9])]
        }
        try await database.write { transaction in
            _ = try transaction.insert(into: "sealed", columns: ["id", "owner", "nobody", "access_token"], rows: rows)
        }
        let shared = try await Shared()
        let service = try shared.open("a", poll: 2_000)
        defer { service.keeper.stop() }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: column, context: "")
        let refusal = await #expect(throws: CommandFailure.self) {
            _ = try await rewrap.run(database, shared.desk(service, "token")) { _ in }
        }
        #expect(refusal?.status == 65 && refusal?.description.hasPrefix("\(column) does not name the rows of sealed") == true)
        await database.close()
    }

    /// SQLite keeps a text in a column of bytes as a text.
    @Test func aRowThatHoldsNoBytesIsNamedAndPassedOver() async throws {
        composition.keeper.stop()
        let directory = try TemporaryDirectory()
        let database = try await Database.open(url: "sqlite:\(directory.path("t.sqlite"))")
        let sql = "CREATE TABLE sealed (id TEXT PRIMARY KEY, access_token BLOB);"
        try await database.migrate([Migration(version: 1, name: "sealed", sql: sql)])
        try await database.write { transaction in
            _ = try transaction.insert(
                into: "sealed", columns: ["id", "access_token"],
                rows: [
                    [.text("con_1"), .text("AQAAAAEJ")], [.text("con_2"), .bytes([1, 0, 0, 0, 1, 9])], [.text("con_3"), .integer(7)],
                ])
        }
        let shared = try await Shared()
        let service = try shared.open("a", poll: 2_000)
        defer { service.keeper.stop() }
        let rewrap = try KeyRewrap(key: "token-vault", table: "sealed", column: "access_token", id: "id", context: "")
        let tally = try await rewrap.run(database, shared.desk(service, "token")) { _ in }
        #expect((tally.current, tally.failed, tally.rows) == (1, 2, 3), "\(tally)")
        let sentence = "It holds a text or a number, not bytes."
        #expect(tally.failures == ["con_1: " + sentence, "con_3: " + sentence])
        await database.close()
    }

    @Test("Of many rows that cannot be moved some are named, and the others are not passed over")
    func failuresAreCounted() {
        var tally = KeyRewrap.Tally(version: 2, failed: 12, failures: ["con_1: no", "con_2: no"])
        #expect(tally.text.hasSuffix("12 not:\n  con_1: no\n  con_2: no\n  and 10 more"), "\(tally.text)")
        tally.failed = 2
        #expect(tally.text.hasSuffix("2 not:\n  con_1: no\n  con_2: no"), "\(tally.text)")
    }

    /// A process that has not looked yet takes the change on, and finds then that another one came first.
    @Test(.everyEngine) func aChangeThatIsRefusedLaterIsNoSuccess() async throws {
        composition.keeper.stop()
        let shared = try await Shared()
        let service = try shared.open("a", poll: 2_000)
        let desk = try shared.desk(service, "operator")
        _ = try await #require(try KeysCommand.parseAsRoot(["create", "invoices", "--usage", "MAC"]) as? CreateKey).lines(desk)
        let late = try shared.open("b", poll: 3_600_000_000)
        defer { for each in [service, late] { each.keeper.stop() } }
        let destroy = try #require(try KeysCommand.parseAsRoot(["destroy", "invoices", "--days", "7"]) as? DestroyKey)
        _ = try await destroy.lines(desk)
        try #require(late.keeper.keyring["invoices"]?.state == .enabled, "it has not looked yet")
        let disable = try #require(try KeysCommand.parseAsRoot(["disable", "invoices"]) as? DisableKey)
        let failure = await #expect(throws: CommandFailure.self) { _ = try await disable.lines(shared.desk(late, "operator")) }
        #expect(failure?.status == 75 && failure?.description.hasPrefix("What was asked for of invoices was not done") == true)
    }

    @Test func aRewrapMakesNoDatabase() async throws {
        defer { composition.keeper.stop() }
        let name = "nope-\(UUID().uuidString).sqlite"
        let failure = await #expect(throws: CommandFailure.self) {
            _ = try await run(
                RewrapKey.self, "token-vault", "--database", "sqlite:\(name)", "--table", "connections", "--column", "access_token")
        }
        // From the current folder on, and not from the root of all.
        #expect(failure?.status == 66 && failure?.description.hasPrefix("./\(name): no such file.") == true)
        #expect(!FileManager.default.fileExists(atPath: name) && !FileManager.default.fileExists(atPath: "/\(name)"))
    }

    @Test func anExportMakesNoDatabase() async throws {
        composition.keeper.stop()
        try #"{"encryption": {"keyring": {"database": "sqlite:shared.sqlite"}}}"#
            .write(toFile: directory.path("config.json"), atomically: true, encoding: .utf8)
        let export = try #require(
            try AuditCommand.parseAsRoot(["export", "--state", directory.url.path]) as? AuditCommand.Export)
        let failure = #expect(throws: CommandFailure.self) { try export.each { _ in } }
        #expect(failure?.status == 66 && failure?.description.contains("no such file") == true)
        #expect(!FileManager.default.fileExists(atPath: directory.path("shared.sqlite")))
    }

    /// With another file of that name in the state directory, that one would be told of.
    @Test func anAuditTrailThatIsNamedIsLookedForFromTheCurrentFolderOn() async throws {
        composition.keeper.stop()
        await (try Database.open(url: "sqlite:\(directory.path("not-there.sqlite"))")).close()
        let words = ["verify", "--database", "sqlite:not-there.sqlite", "--state", directory.url.path]
        let command = try #require(try AuditCommand.parseAsRoot(words) as? AuditCommand.Verify)
        let refusal = await #expect(throws: CommandFailure.self) { _ = try await command.trailReport() }
        let path = FileManager.default.currentDirectoryPath + "/not-there.sqlite"
        #expect(refusal?.status == 66 && refusal?.description.hasPrefix("\(path): no such file.") == true, "\(refusal?.description ?? "")")
    }

    @Test func anAuditTrailIsLookedForWhereThereIsOne() async throws {
        composition.keeper.stop()
        let path = directory.path("auth.sqlite")
        func report() async throws -> AuditTrailReport {
            let command = try AuditCommand.parseAsRoot(["verify", "--database", "sqlite:\(path)"])
            return try await #require(command as? AuditCommand.Verify).trailReport()
        }
        func bring(to version: Int) async throws {
            let database = try await Database.open(url: "sqlite:\(path)")
            try await database.migrate(Array(AuthMigrations.all.prefix(version)))
            await database.close()
        }
        let missing = await #expect(throws: CommandFailure.self) { _ = try await report() }
        #expect(missing?.status == 66 && missing?.description.hasPrefix("\(path): no such file. `lockstep up` makes it") == true)
        #expect(!FileManager.default.fileExists(atPath: path))
        await (try Database.open(url: "sqlite:\(path)")).close()
        let unused = await #expect(throws: CommandFailure.self) { _ = try await report() }
        #expect(unused?.status == 66 && unused?.description.hasPrefix("\(path) has no audit trail: auth never used it.") == true)
        try await bring(to: 1)
        let old = await #expect(throws: CommandFailure.self) { _ = try await report() }
        #expect(old?.status == 65 && old?.description.hasPrefix("\(path) has schema version 1, and this program needs") == true)
        for failure in [missing, unused, old] { #expect(failure?.description.contains("\n") == false) }
        try await bring(to: AuthMigrations.all.count)
        let whole = try await report()
        #expect(whole.isWhole && whole.entries == 0)
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
