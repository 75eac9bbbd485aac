import Foundation
import Glibc
import RPCCore
import Synchronization
import TestSupport
import Testing

@testable import EncryptionService

@Suite struct AuditTests {
    private func lines(_ parts: Parts) throws -> [ArraySlice<UInt8>] {
        Array(try Data(contentsOf: URL(filePath: parts.location.audit))).split(separator: UInt8(ascii: "\n"))
    }

    private func chain(_ lines: [ArraySlice<UInt8>]) throws -> AuditChain {
        var chain = AuditChain(after: AuditHead.none)
        for line in lines { try chain.take(line) }
        return chain
    }

    @Test("ASVS 16.2.1: each act of key administration is a record: what, which key, who, when, in which call")
    func everyActIsTold() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        let desk = try parts.administration(keeper)
        let caller = try administrator()
        let acts: [() throws -> Void] = [
            { try desk.create(.init(name: "a", kind: .aead, options: KeyOptions(isExportable: true)), caller: caller) },
            { _ = try desk.rotate("a", caller: caller) },
            { try desk.configure("a", caller: caller) { $0.minDecryption = 2 } },
            { try? _ = desk.export("a", version: 2, caller: caller) },
            { try desk.disable("a", caller: caller) },
            { try desk.enable("a", caller: caller) },
            { _ = try desk.scheduleDestruction("a", days: 7, caller: caller) },
            { try desk.cancelDestruction("a", caller: caller) },
        ]
        for act in acts {
            try act()
            #expect(events.change())
        }
        keeper.stop()
        let lines = try lines(parts)
        let entries = try lines.map { try AuditRecord(line: $0).entry }
        #expect(entries.prefix(3).map(\.actor) == Array(repeating: "configuration", count: 3))
        let told = entries.dropFirst(3)
        #expect(told.map(\.action) == [
            "CREATE", "ROTATE", "CONFIGURE", "EXPORT", "DISABLE", "ENABLE", "SCHEDULE_DESTRUCTION", "CANCEL_DESTRUCTION",
        ])
        #expect(told.allSatisfy { $0.key == "a" && $0.actor == "operator" && $0.requestID == "req_1" })
        #expect(told.map(\.detail).prefix(4) == [
            "AEAD, version 1, exportable", "version 2", "min_decryption_version 1 to 2", "version 2",
        ])
        let record = try AuditRecord(line: lines[3])
        #expect(record.time == parts.clock.now && record.sequence == 4)
        #expect(try chain(lines).head == keeper.keyring.audit)
        #expect(try FileManager.default.attributesOfItem(atPath: parts.location.audit)[.posixPermissions] as? Int == 0o600)
    }

    @Test("ASVS 16.4.2: a record that is changed, removed, moved or added is found") func tampering() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        for _ in 0..<3 {
            _ = try keeper.requestRotation(of: "token-vault")
            #expect(events.change())
        }
        keeper.stop()
        let good = try lines(parts)
        #expect(try chain(good).head?.sequence == 6)
        for index in good.indices.dropLast() {
            var less = good
            less.remove(at: index)
            #expect(throws: AuditDamage.self, "without \(index)") { try chain(less) }
            var swapped = good
            swapped.swapAt(index, index + 1)
            #expect(throws: AuditDamage.self, "swapped \(index)") { try chain(swapped) }
        }
        #expect(throws: AuditDamage.self) { try chain(good + [good[5]]) }
        for index in good[2].indices {
            var bad = good
            bad[2][index] ^= 1
            #expect(throws: AuditDamage.self, "byte \(index)") { try chain(bad) }
        }
    }

    /// What only the sealed keyring can tell: a log cut off at its end, or made anew from some record on.
    @Test("ASVS 16.4.2: a log that was cut off stops administration, and nothing else", arguments: ["cut", "rewritten"])
    func cutOff(_ how: String) throws {
        let parts = try Parts()
        let first = try parts.open(create: true)
        _ = try first.requestRotation(of: "token-vault")
        first.stop()
        let all = try lines(parts)
        var kept = Data(all.dropLast().joined(separator: [UInt8(ascii: "\n")])) + Data("\n".utf8)
        if how == "rewritten" {
            let head = try AuditRecord(line: all[all.count - 2]).head
            kept += try AuditRecord.next(AuditEntry(action: "ROTATE", actor: "nobody"), after: head, time: 1).line
        }
        try kept.write(to: URL(filePath: parts.location.audit))
        let events = Events()
        let keeper = try parts.open(report: events.report)
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        #expect(try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token")).version == 2)
        keeper.stop()
        // Moved away, and configuration says after which record, as the text of the error has it: the log goes on in a new file.
        try FileManager.default.moveItem(atPath: parts.location.audit, toPath: parts.directory.path("old"))
        let last = try AuditRecord(line: all[all.count - 1])
        var meant = parts
        meant.location.auditBeginsAfter = last.sequence
        let again = try meant.open(report: events.report)
        _ = try again.requestRotation(of: "token-vault")
        #expect(events.change())
        again.stop()
        let records = try lines(parts).map { try AuditRecord(line: $0) }
        #expect(records.map(\.entry.action) == ["BEGIN", "ROTATE"])
        #expect(records[0].entry.detail == "records 1 to 4 are in other files")
        #expect(records[0].sequence == last.sequence + 1 && records[0].previous == last.hash)
        // What was allowed once is not allowed again: the number is another one now.
        try FileManager.default.removeItem(atPath: parts.location.audit)
        let stopped = Events()
        let third = try meant.open(report: stopped.report)
        #expect(stopped.stop())
        third.stop()
        #expect(!FileManager.default.fileExists(atPath: parts.location.audit))
    }

    /// What nobody said was meant: found at the next start.
    @Test(
        "ASVS 16.4.2: a log that was emptied, removed, or lost its beginning stops administration, and nothing else",
        arguments: ["emptied", "removed", "half a line", "beginning lost", "begun anew"])
    func emptied(_ how: String) throws {
        let parts = try Parts()
        let first = try parts.open(create: true)
        _ = try first.requestRotation(of: "token-vault")
        first.stop()
        let (all, file) = (try lines(parts), URL(filePath: parts.location.audit))
        switch how {
        case "emptied": try Data().write(to: file)
        case "removed": try FileManager.default.removeItem(at: file)
        case "half a line": try Data(all[0].prefix(100)).write(to: file)
        case "beginning lost": try (Data(all.dropFirst().joined(separator: [UInt8(ascii: "\n")])) + Data("\n".utf8)).write(to: file)
        default:
            // One that begins as a log does, and is not this one.
            try Data(AuditRecord.next(AuditEntry(action: "CREATE", actor: "nobody"), after: .none, time: 1).line).write(to: file)
        }
        let events = Events()
        let keeper = try parts.open(report: events.report)
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        #expect(try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token")).version == 2)
        // Put back, it is the log again.
        try Data(all.flatMap { $0 + [UInt8(ascii: "\n")] }).write(to: URL(filePath: parts.directory.path("backup")))
        #expect(chmod(parts.directory.path("backup"), 0o600) == 0)
        #expect(rename(parts.directory.path("backup"), parts.location.audit) == 0)
        #expect(events.resume())
        keeper.stop()
        #expect(try lines(parts).count == all.count + 1)
    }

    /// Lines whose own hash is right; those from the sealed record on are as they were. What vouches for them is the chain.
    @Test(
        "ASVS 16.4.2: what was done to the log before its last record is found at the next start",
        arguments: ["removed", "replaced", "cut while running", "begun elsewhere", "begun at the end"])
    func theMiddle(_ how: String) throws {
        let parts = try Parts()
        let events = Events()
        let first = try parts.open(create: true, report: events.report)
        let path = parts.location.audit
        for index in 0..<2 {
            if how == "cut while running", index == 1 { #expect(truncate(path, try off_t(lines(parts)[0].count + 1)) == 0) }
            _ = try first.requestRotation(of: "token-vault")
            #expect(events.change())
        }
        first.stop()
        var all = try lines(parts)
        func record(_ action: String, after head: AuditHead) throws -> ArraySlice<UInt8> {
            try AuditRecord.next(AuditEntry(action: action, key: "token-vault", actor: "nobody"), after: head, time: 1).line.dropLast()
        }
        switch how {
        case "removed": all.remove(at: 2)
        case "replaced": all[2] = try record("CREATE", after: AuditRecord(line: all[1]).head)
        case "begun elsewhere": all = [try record("BEGIN", after: AuditHead(sequence: 2, hash: AuditHead.none.hash)), all[4]]
        case "begun at the end": all = [try record("BEGIN", after: AuditRecord(line: all[4]).head)]
        default: #expect(all.count == 2)
        }
        // In place: the file's mode stays.
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(all.flatMap { $0 + [UInt8(ascii: "\n")] }))
        try file.close()
        let stopped = Events()
        let keeper = try parts.open(report: stopped.report)
        #expect(stopped.stop())
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        #expect(try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token")).version == 3)
        keeper.stop()
    }

    /// The number that was set fits no more as soon as the new file is begun, also when nothing else is told then.
    @Test func begunOnce() throws {
        var parts = try Parts()
        try parts.open(create: true).stop()
        parts.location.auditBeginsAfter = 3
        for isFirst in [true, false] {
            try FileManager.default.removeItem(atPath: parts.location.audit)
            let events = Events()
            let keeper = try parts.open(report: events.report)
            if isFirst { #expect(keeper.keyring.audit.sequence == 4) } else { #expect(events.stop()) }
            keeper.stop()
        }
        #expect(!FileManager.default.fileExists(atPath: parts.location.audit))
    }

    @Test func theLastNumber() throws {
        let entry = AuditEntry(action: "ROTATE", actor: "nobody")
        let last = try AuditRecord.next(entry, after: AuditHead(sequence: .max - 1, hash: AuditHead.none.hash), time: 1)
        var chain = AuditChain()
        try chain.take(last.line.dropLast())
        #expect(chain.head?.sequence == .max)
        #expect(throws: AuditDamage.self) {
            var further = chain
            try further.take(last.line.dropLast())
        }
        #expect(throws: AuditDamage.self) { try AuditRecord.next(entry, after: last.record.head, time: 1) }
    }

    @Test func theErrorSaysWhatToDo() {
        let problem = KeyringProblem.auditMismatch(path: "/x/log", sequence: 57, reason: "the file is gone")
        #expect(problem.description.contains("knows record 57: the file is gone."))
        #expect(problem.description.contains("set encryption.audit.begin_after = 57"))
    }

    /// A crash in the middle of a record, and one between the log and the keyring.
    @Test func afterACrash() throws {
        let parts = try Parts()
        try parts.open(create: true).stop()
        let head = try AuditRecord(line: try lines(parts)[2]).head
        let written = try AuditRecord.next(AuditEntry(action: "ROTATE", key: "token-vault", actor: "operator"), after: head, time: 1)
        var file = try Data(contentsOf: URL(filePath: parts.location.audit))
        file += written.line + Array(written.line.prefix(50))
        try file.write(to: URL(filePath: parts.location.audit))
        let keeper = try parts.open()
        #expect(keeper.keyring["token-vault"]?.versions.count == 1)
        _ = try keeper.requestRotation(of: "token-vault")
        keeper.stop()
        let records = try lines(parts).map { try AuditRecord(line: $0) }
        #expect(records.map(\.entry.action) == ["CREATE", "CREATE", "CREATE", "ROTATE", "NOT_DONE", "ROTATE"])
        #expect(records[4].entry.detail == "did not take effect: record 4")
        #expect(try chain(lines(parts)).head == keeper.keyring.audit)
    }

    @Test("HIPAA 164.312(b), against hashicorp/vault#5361: a full audit disk stops key administration and nothing else")
    func aFullDisk() throws {
        let parts = try Parts()
        let limits = UsageLimits(block: 8, rotateAt: 1000, maximum: 2000)
        try parts.open(create: true, limits: limits).stop()
        // The kernel's own full disk: every write there ends with ENOSPC.
        var full = parts
        full.location.audit = "/dev/full"
        let events = Events()
        let keeper = try full.open(limits: limits, report: events.report)
        let (vault, authority) = (try parts.vault(keeper), try parts.authority(keeper))
        let desk = try parts.administration(keeper)
        // The first change finds out, and is not done; from then on they are refused at once.
        _ = try desk.rotate("token-vault", caller: administrator())
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try desk.disable("email-outbox", caller: administrator()) }
        #expect(EncryptionError.administrationStopped.rpcError.code == .unavailable)
        // Sealing goes on far beyond the reserve of the start: reserves are written as ever.
        var sealed: [[UInt8]] = []
        while sealed.count < 100 {
            do {
                sealed.append(try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")).ciphertext)
            } catch EncryptionError.reserveExhausted {
                try #require(events.reserve())
            }
        }
        for one in sealed {
            #expect(try vault.decrypt(one, key: "token-vault", context: [], caller: service("token")) == [1])
        }
        let request = TokenAuthority.Request(subject: "u", audience: "a", session: nil, roles: [], lifetime: 60)
        let token = try authority.sign(request, key: "access-token", caller: service("auth")).token
        #expect(try authority.verify(token, audience: "a", caller: service("gateway")).subject == "u")
        #expect(keeper.keyring["token-vault"]?.versions.count == 1)
        keeper.stop()
        // With room again, the next process administers.
        let again = try parts.open(limits: limits)
        _ = try again.requestRotation(of: "token-vault")
        again.stop()
        #expect(again.keyring["token-vault"]?.versions.count == 2)
    }

    /// A full disk: the file stays open, so that the next try does not follow all of it again.
    @Test func afterAFullDiskTheFileGoesOn() throws {
        let parts = try Parts()
        let isFull = Atomic(false)
        var system = AuditLog.System()
        system.write = { descriptor, bytes in
            guard isFull.load(ordering: .relaxed) else { return Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
            // Half of it, then no more.
            guard bytes.count < 100 else { return Glibc.write(descriptor, bytes.baseAddress, bytes.count / 2) }
            errno = ENOSPC
            return -1
        }
        let log = AuditLog(path: parts.location.audit, clock: parts.clock.read, system: system)
        defer { log.close() }
        let entry = AuditEntry(action: "ROTATE", key: "k", actor: "operator")
        let head = try log.append([entry, entry], known: .none)
        isFull.store(true, ordering: .relaxed)
        for _ in 0..<3 {
            #expect(throws: KeyringProblem.self) { try log.append([entry], known: head) }
            #expect(try lines(parts).count == 2, "what is not whole is gone")
        }
        // Whoever opens a file of that name now finds none: this one is held.
        try FileManager.default.moveItem(atPath: parts.location.audit, toPath: parts.directory.path("elsewhere"))
        isFull.store(false, ordering: .relaxed)
        #expect(try log.append([entry], known: head).sequence == 3)
        #expect(!FileManager.default.fileExists(atPath: parts.location.audit))
    }

    /// The log's folder comes back while the process runs: what was asked for is done then.
    @Test func administrationResumesByItself() throws {
        let parts = try Parts()
        try parts.open(create: true).stop()
        var elsewhere = parts
        let folder = parts.directory.path("audit")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try FileManager.default.moveItem(atPath: parts.location.audit, toPath: folder + "/log")
        elsewhere.location.audit = folder + "/log"
        try FileManager.default.moveItem(atPath: folder, toPath: folder + ".away")
        let events = Events()
        let keeper = try elsewhere.open(report: events.report)
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        try FileManager.default.moveItem(atPath: folder + ".away", toPath: folder)
        #expect(events.resume())
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        keeper.stop()
        #expect(try chain(lines(elsewhere)).head == keeper.keyring.audit)
    }

    /// A folder where the new keyring is to be written makes every write fail, for root too.
    private func block(_ parts: Parts) throws -> String {
        let obstacle = parts.location.keyring + ".new"
        try FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: false)
        try Data([1]).write(to: URL(filePath: obstacle + "/x"))
        return obstacle
    }

    /// Told, not made since the keyring's disk was full, and then not wanted any more: the log takes it back, and tells of the next
    /// one of its kind anew.
    @Test("ASVS 16.2.1: the log says that a destruction was not made, and tells of a later one")
    func aChangeThatIsNotMadeIsTakenBack() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        let desk = try parts.administration(keeper)
        try desk.create(.init(name: "a", kind: .mac), caller: administrator())
        #expect(events.change())
        func schedule() throws {
            _ = try desk.scheduleDestruction("a", days: 7, caller: administrator())
            #expect(events.change())
        }
        try schedule()
        let obstacle = try block(parts)
        parts.clock.advance(seconds: 7 * 86_400)
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.failure() && events.failure())
        try desk.cancelDestruction("a", caller: administrator())
        try FileManager.default.removeItem(atPath: obstacle)
        #expect(events.change(2))
        try schedule()
        parts.clock.advance(seconds: 7 * 86_400)
        keeper.look()
        #expect(events.change())
        keeper.stop()
        #expect(keeper.keyring["a"] == nil)
        let entries = try lines(parts).map { try AuditRecord(line: $0).entry }
        #expect(entries.dropFirst(3).map(\.action) == [
            "CREATE", "SCHEDULE_DESTRUCTION", "ROTATE", "DESTROY", "NOT_DONE", "ROTATE", "CANCEL_DESTRUCTION", "SCHEDULE_DESTRUCTION",
            "DESTROY",
        ])
        #expect(entries[7].detail == "did not take effect: record 6, 7")
        #expect(try chain(lines(parts)).head == keeper.keyring.audit)
    }

    /// The log has what is not done yet, and the keyring's disk refuses: tried again, it is told once.
    @Test func aChangeIsToldOnce() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        let obstacle = try block(parts)
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.failure() && events.failure())
        #expect(keeper.keyring["token-vault"]?.versions.count == 1)
        try FileManager.default.removeItem(atPath: obstacle)
        #expect(events.change())
        keeper.stop()
        let actions = try lines(parts).map { try AuditRecord(line: $0).entry.action }
        #expect(actions == ["CREATE", "CREATE", "CREATE", "ROTATE"])
        #expect(try chain(lines(parts)).head == keeper.keyring.audit)
    }
}
