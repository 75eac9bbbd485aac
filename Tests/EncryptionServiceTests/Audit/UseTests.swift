import Contracts
import Foundation
import RPCCore
import Synchronization
import Testing

@testable import EncryptionService

/// What the audit log tells of uses of keys.
@Suite struct UseTests {
    private func records(_ parts: Parts) throws -> [AuditRecord] {
        var chain = AuditChain(after: AuditHead.none)
        return try Data(contentsOf: URL(filePath: parts.location.audit)).split(separator: UInt8(ascii: "\n")).map { line in
            try chain.take(line)
            return try AuditRecord(line: line)
        }
    }

    private func use(_ action: KeyOperation = .encrypt, key: String = "k", at time: Int64 = 0, failed: Int = 0) -> KeyUse {
        KeyUse(operation: action, key: key, version: 1, actor: "token", requestID: "r", items: 1, failed: failed, time: time)
    }

    @Test("ASVS 16.2.1: every use of a key is a record: what, which key and version, who, when, in which call")
    func everyUseIsTold() async throws {
        let keys = ["vault:AEAD", "seal:MAC", "access-token:SIGN"].compactMap(KeySpecification.init)
        let grants = KeyOperation.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ",")
        let service = try Service(keys: keys, policy: #"{"token": {"*": [\#(grants)]}, "auth": {"*": [\#(grants)]}}"#) {
            $0.auditsUses = true
            $0.passwords.pepperKey = "pepper"
        }
        let client = try service.keys(as: "token")
        let sealed = try await client.encrypt(.with { $0.keyName = "vault" }).ciphertext
        _ = try await client.decrypt(.with { ($0.keyName, $0.ciphertext) = ("vault", sealed) })
        _ = await failure { try await client.decrypt(.with { ($0.keyName, $0.ciphertext) = ("vault", sealed + [0]) }) }
        _ = try await client.rewrap(.with { ($0.keyName, $0.ciphertext) = ("vault", sealed) })
        _ = try await client.generateDataKey(.with { $0.keyName = "vault" })
        let mac = try await client.mac(.with { $0.keyName = "seal" }).mac
        _ = try await client.verifyMAC(.with { ($0.keyName, $0.mac) = ("seal", mac) })
        _ = try await client.verifyMAC(.with { ($0.keyName, $0.mac, $0.message) = ("seal", mac, Data([1])) })
        let items = (0..<10).map { index in
            EncryptionCiphertextItem.with { $0.ciphertext = index == 3 ? Data([1]) : sealed }
        }
        _ = try await client.batchDecrypt(.with { ($0.keyName, $0.items) = ("vault", items) })
        let tokens = try service.tokens(as: "auth")
        let token = try await tokens.sign(
            .with { ($0.keyName, $0.subject, $0.audience) = ("access-token", "usr_1", "lockstep") }
        ).token
        _ = try await tokens.verify(.with { ($0.token, $0.audience) = (token, "lockstep") })
        _ = await failure { try await tokens.verify(.with { ($0.token, $0.audience) = (token, "another") }) }
        _ = await failure { try await tokens.verify(.with { ($0.token, $0.audience) = ("no.to.ken", "lockstep") }) }
        let hash = try await service.passwords(as: "auth").hash(.with { $0.password = "otter lamp violin 42" }).passwordHash
        _ = try await service.passwords(as: "auth").verify(.with { ($0.password, $0.passwordHash) = ("another", hash) })
        // What no key was used for: a key that is not there, a denial.
        _ = await failure { try await client.decrypt(.with { ($0.keyName, $0.ciphertext) = ("nothing", sealed) }) }
        _ = await failure { try await service.keys(as: "email").encrypt(.with { $0.keyName = "vault" }) }
        service.composition.keeper.stop()
        let told = try records(service.parts).dropFirst(4)
        #expect(told.map { "\($0.entry.action) \($0.entry.key) by \($0.entry.actor): \($0.entry.detail)" } == [
            "ENCRYPT vault by token: version 1", "DECRYPT vault by token: version 1", "DECRYPT vault by token: version 1, 1 failed",
            "REWRAP vault by token: version 1", "DATA_KEY vault by token: version 1", "MAC seal by token: version 1",
            "VERIFY_MAC seal by token: version 1", "VERIFY_MAC seal by token: version 1, 1 failed",
            "DECRYPT vault by token: 10 items, 1 failed", "SIGN access-token by auth: version 1",
            "VERIFY access-token by auth: version 1", "VERIFY access-token by auth: version 1, 1 failed", "MAC pepper by auth: version 1",
            "VERIFY_MAC pepper by auth: version 1, 1 failed",
        ])
        #expect(told.allSatisfy { !$0.entry.requestID.isEmpty && $0.time == service.parts.clock.now })
        #expect(Set(told.map(\.entry.requestID)).count == told.count)
        // Sealed when the process ended: none of them can be cut off.
        #expect(service.composition.keeper.keyring.audit == told.last?.head)
    }

    @Test func withoutTheOptionNothingIsTold() throws {
        let parts = try Parts()
        let keeper = try parts.open(create: true)
        _ = try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token"))
        keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
        keeper.stop()
        #expect(!keeper.auditsUses)
        #expect(try records(parts).map(\.entry.action) == ["CREATE", "CREATE", "CREATE"])
    }

    /// Written by the thread within its interval, with nothing else to do.
    @Test func aUseIsWrittenByItself() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, uses: UseLog(), report: events.report)
        keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
        #expect(events.use())
        #expect(try records(parts).last?.entry.action == "ENCRYPT")
        keeper.stop()
    }

    @Test func beyondTheBoundUsesAreCounted() throws {
        let log = UseLog(capacity: 4)
        let isTimeToWrite = (0..<10).map { log.add(use($0 < 8 ? .encrypt : .decrypt, at: Int64($0) * 1_000_000, failed: $0 == 9 ? 1 : 0)) }
        #expect(isTimeToWrite == [false, true] + Array(repeating: false, count: 8))
        var batch = log.take()
        #expect(batch.entries.map(\.action) == ["ENCRYPT", "ENCRYPT", "ENCRYPT", "ENCRYPT", "USES_COUNTED", "USES_COUNTED"])
        #expect(batch.entries.map(\.time).prefix(4) == [0, 1_000_000, 2_000_000, 3_000_000])
        let details = batch.entries.suffix(2).map(\.detail)
        #expect(details[0].hasPrefix("DECRYPT in 2 calls from 1970-01-01T00:00:08Z to 1970-01-01T00:00:09Z"), "\(details)")
        #expect(details[0].hasSuffix("2 items, 1 failed") && details[1].hasPrefix("ENCRYPT in 4 calls"))
        #expect(log.take().isEmpty)
        // What could not be written comes back ahead of what came meanwhile, and the bound holds.
        _ = log.add(use(.mac, at: 20_000_000))
        log.restore(batch)
        batch = log.take()
        #expect(batch.entries.count == 4 + 3 && batch.entries.filter { $0.action == "USES_COUNTED" }.count == 3)
        #expect(batch.entries.last?.detail.hasPrefix("MAC in 1 calls") == true)
    }

    @Test("against hashicorp/vault#5361: while the audit log cannot be written, keys are used on, and the log tells how often")
    func aLogThatCannotBeWritten() throws {
        let parts = try Parts()
        try parts.open(create: true).stop()
        var elsewhere = parts
        let folder = parts.directory.path("audit")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try FileManager.default.moveItem(atPath: parts.location.audit, toPath: folder + "/log")
        elsewhere.location.audit = folder + "/log"
        try FileManager.default.moveItem(atPath: folder, toPath: folder + ".away")
        let events = Events()
        let keeper = try elsewhere.open(uses: UseLog(capacity: 8), report: events.report)
        #expect(events.stop())
        let vault = try parts.vault(keeper)
        for index in 0..<20 {
            let sealed = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
            keeper.tell(.encrypt, "token-vault", version: sealed.version, actor: "token", requestID: "r\(index)")
        }
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        try FileManager.default.moveItem(atPath: folder + ".away", toPath: folder)
        #expect(events.resume())
        #expect(events.use())
        keeper.stop()
        // The folder may come back between a step's two tries: then the uses are told first.
        let all = try records(elsewhere).dropFirst(3)
        #expect(all.filter { $0.entry.action == "RESUME" }.count == 1)
        let told = all.filter { $0.entry.action != "RESUME" }
        // The last may still come while the others are on their way to the log: then they are listed behind the count.
        let listed = told.filter { $0.entry.action == "ENCRYPT" }.map(\.entry.requestID)
        #expect(Array(listed.prefix(8)) == (0..<8).map { "r\($0)" })
        let counts = told.filter { $0.entry.action == "USES_COUNTED" }.map(\.entry.detail)
        let counted = counts.compactMap { $0.firstMatch(of: /^ENCRYPT in (\d+) calls/).flatMap { Int($0.1) } }
        #expect(!counted.isEmpty && counted.count == counts.count)
        #expect(listed.count + counted.reduce(0, +) == 20)
    }

    @Test("ASVS 16.4.2: uses that were cut off are found, too") func cutOff() throws {
        let parts = try Parts()
        let keeper = try parts.open(create: true, uses: UseLog())
        for _ in 0..<3 { keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r") }
        keeper.stop()
        let lines = try Data(contentsOf: URL(filePath: parts.location.audit)).split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 6)
        try Data(lines.dropLast().flatMap { $0 + [UInt8(ascii: "\n")] }).write(to: URL(filePath: parts.location.audit))
        let events = Events()
        let again = try parts.open(uses: UseLog(), report: events.report)
        #expect(events.stop())
        again.stop()
    }

    /// However often the process is killed, what can be cut off is a minute's.
    @Test func usesAreSealedByTime() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, uses: UseLog(), report: events.report)
        func use() {
            keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
            keeper.look()
            #expect(events.use())
        }
        for _ in 0..<3 { use() }
        #expect(keeper.keyring.audit.sequence == 3)
        parts.clock.advance(seconds: 61)
        // The second one is told in a step that begins when the first one's has ended. The third of those before may have
        // been sealed in its own step, if that was still under way when the minute was over.
        for _ in 0..<2 { use() }
        #expect([6, 7].contains(keeper.keyring.audit.sequence))
        keeper.stop()
        // Those that a killed process left are sealed at the start.
        let sealed = try Data(contentsOf: URL(filePath: parts.location.keyring))
        let second = try parts.open(uses: UseLog(), report: events.report)
        second.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
        second.stop()
        try sealed.write(to: URL(filePath: parts.location.keyring))
        let third = try parts.open(uses: UseLog())
        #expect(try third.keyring.audit == records(parts).last?.head)
        third.stop()
    }

    private struct DiskFull: Error {}

    /// A keeper with a log, whose disk is the closure.
    private func keeper(
        _ parts: Parts, _ events: Events, save: @escaping @Sendable (Keyring) throws -> Void
    ) throws -> KeyringKeeper {
        let made = try parts.open(create: true)
        made.stop()
        return KeyringKeeper(
            made.keyring, maker: KeyMaker(publishLead: Parts.publishLead),
            audit: AuditLog(path: parts.location.audit, clock: parts.clock.read), uses: UseLog(), clock: parts.clock.read,
            report: events.report, save: save)
    }

    /// The log has a change that the keyring has not: what is sealed must leave it among the records that are looked at.
    @Test func nothingIsSealedPastAChangeThatIsNotDone() throws {
        let (parts, events) = (try Parts(), Events())
        let sealed = Mutex(AuditHead.none)
        let keeper = try keeper(parts, events) { keyring in
            guard keyring["token-vault"]?.versions.count == 1 else { throw DiskFull() }
            sealed.withLock { $0 = keyring.audit }
        }
        try keeper.start()
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.failure())
        keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
        #expect(events.use())
        keeper.stop()
        #expect(try records(parts).map(\.entry.action).suffix(2) == ["ROTATE", "ENCRYPT"])
        #expect(sealed.withLock { $0.sequence } == 3)
    }

    @Test func usesAreToldWhileReservesCannotBeWritten() throws {
        let (parts, events) = (try Parts(), Events())
        let isFull = Atomic(false)
        let keeper = try keeper(parts, events) { _ in
            if isFull.load(ordering: .acquiring) { throw DiskFull() }
        }
        try keeper.start()
        isFull.store(true, ordering: .releasing)
        keeper.requestReserve(for: "token-vault")
        #expect(events.failure())
        keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r")
        #expect(events.use())
        keeper.stop()
        #expect(try records(parts).last?.entry.action == "ENCRYPT")
    }

    @Test func howManyUsesAreLost() throws {
        var parts = try Parts()
        try parts.open(create: true).stop()
        parts.location.audit = parts.directory.path("nowhere/log")
        let events = Events()
        let keeper = try parts.open(uses: UseLog(capacity: 2), report: events.report)
        #expect(events.stop())
        for _ in 0..<5 { keeper.tell(.encrypt, "token-vault", version: 1, actor: "token", requestID: "r") }
        keeper.stop()
        #expect(events.told.last == "5 uses lost")
    }

    /// The process was killed: the log tells of uses that the sealed keyring does not know of. They were made, and stay; a change
    /// among them was not.
    @Test func afterACrash() throws {
        let parts = try Parts()
        try parts.open(create: true).stop()
        let sealed = try Data(contentsOf: URL(filePath: parts.location.keyring))
        let keeper = try parts.open(uses: UseLog())
        for index in 0..<2500 { keeper.tell(.decrypt, "token-vault", version: 1, actor: "token", requestID: "request-\(index)") }
        keeper.stop()
        let known = try records(parts)
        #expect(known.count == 2503)
        // As long as several of the parts in which the file is read.
        #expect(try Data(contentsOf: URL(filePath: parts.location.audit)).count > 3 << 18)
        let change = try AuditRecord.next(
            AuditEntry(action: "ROTATE", key: "token-vault", actor: "operator"), after: known[2502].head, time: 1)
        let use = try AuditRecord.next(use(key: "token-vault").entry, after: change.record.head, time: 1)
        let file = try FileHandle(forWritingTo: URL(filePath: parts.location.audit))
        try file.seekToEnd()
        try file.write(contentsOf: Data(change.line + use.line))
        try file.close()
        try sealed.write(to: URL(filePath: parts.location.keyring))
        let events = Events()
        let again = try parts.open(uses: UseLog(), report: events.report)
        _ = try again.requestRotation(of: "token-vault")
        #expect(events.change())
        again.stop()
        let told = try records(parts).dropFirst(2503)
        #expect(told.map(\.entry.action) == ["ROTATE", "ENCRYPT", "NOT_DONE", "ROTATE"])
        #expect(told.dropFirst(2).first?.entry.detail == "did not take effect: record 2504")
        // Once told, it is not told again.
        try sealed.write(to: URL(filePath: parts.location.keyring))
        let third = try parts.open()
        third.stop()
        #expect(try records(parts).last?.entry.detail == "did not take effect: record 2507")
    }
}
