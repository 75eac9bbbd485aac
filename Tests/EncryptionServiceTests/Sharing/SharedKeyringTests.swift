import Dispatch
import Foundation
import LibCrypto
import RPCCore
import SQL
import TestSupport
import Testing

@testable import EncryptionService

/// Several processes with one keyring in a database.
@Suite(.everyEngine) struct SharedKeyringTests {
    @Test func whatOneSealsTheOtherOpens() async throws {
        let parts = try await SharedParts()
        let (a, b) = (try parts.open("a", create: true), try parts.open("b"))
        defer { for keeper in [a, b] { keeper.stop() } }
        let sealed = try parts.vault(a).encrypt([1, 2], key: "token-vault", context: [9], caller: service("token"))
        let opened = try parts.vault(b).decrypt(sealed.ciphertext, key: "token-vault", context: [9], caller: service("token"))
        #expect(opened == [1, 2])
        let reserves = [a, b].map { $0.keyring["token-vault"]?.versions[0].reserved }
        #expect(reserves == [1 << 18, 1 << 19], "each has a block of its own")
    }

    @Test func whatOneChangesTheOtherTakesOver() async throws {
        let parts = try await SharedParts()
        let events = Events()
        let (a, b) = (try parts.open("a", create: true, report: events.report), try parts.open("b"))
        defer { for keeper in [a, b] { keeper.stop() } }
        try a.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { b.keyring["email-outbox"]?.state == .disabled }
        #expect(throws: EncryptionError.keyDisabled(key: "email-outbox")) {
            try parts.vault(b).encrypt([1], key: "email-outbox", context: [], caller: service("email"))
        }
        try b.request(.enable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { a.keyring["email-outbox"]?.state == .enabled }
    }

    /// A process that lives and does not have the version yet keeps it from being used.
    @Test func aVersionIsUsedWhenEveryProcessHasIt() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        defer { a.stop() }
        let slow = try parts.store()
        defer { slow.release() }
        let before = a.keyring.generation
        _ = try slow.meet(holding: before, forgetting: [])
        #expect(try a.requestRotation(of: "token-vault") == 2)
        try await until { a.keyring["token-vault"]?.versions.count == 2 }
        // It looks again and again, and goes on with the first version.
        let seen = try #require(try slow.meet(holding: before, forgetting: []).others.first?.beat)
        try await until { try slow.meet(holding: before, forgetting: []).others.contains { $0.beat > seen + 5 } }
        #expect(a.keyring["token-vault"]?.isAwaited == true)
        let sealed = try parts.vault(a).encrypt([1], key: "token-vault", context: [], caller: service("token"))
        #expect(sealed.version == 1)
        #expect(throws: EncryptionError.changePending(key: "token-vault", "ROTATE")) {
            try a.requestRotation(of: "token-vault")
        }
        _ = try slow.meet(holding: before + 1, forgetting: [])
        try await until { a.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2 }
        let next = try parts.vault(a).encrypt([1], key: "token-vault", context: [], caller: service("token"))
        #expect(next.version == 2)
        #expect(try parts.auditLog().contains { $0.contains("ACTIVATE") && $0.contains("version 2") })
    }

    @Test func aProcessThatHasLapsedIsNotWaitedFor() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        defer { a.stop() }
        let dead = try parts.store()
        _ = try dead.meet(holding: 1, forgetting: [])
        let before = try dead.meet(holding: 1, forgetting: []).others.first?.beat ?? 0
        // Seen alive, so that its silence can be measured.
        try await until { try dead.meet(holding: 1, forgetting: []).others.contains { $0.beat > before } }
        _ = try a.requestRotation(of: "token-vault")
        try await until { a.keyring["token-vault"]?.isAwaited == true }
        try await until {
            parts.uptime.advance(seconds: 1)
            return a.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2
        }
        // It is forgotten, and what it says counts again.
        _ = try dead.meet(holding: 1, forgetting: [])
        dead.release()
    }

    /// A key that was made just now is not sealed with before every process can open what it seals.
    @Test func aNewKeyWaitsToo() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        defer { a.stop() }
        let slow = try parts.store()
        defer { slow.release() }
        let before = a.keyring.generation
        _ = try slow.meet(holding: before, forgetting: [])
        try a.request(.create(.aead, KeyOptions(), KeySettings()), of: "invoices", by: KeyActor(name: "operator"))
        try await until { a.keyring["invoices"] != nil }
        let policy = try KeyPolicy(json: #"{"token": {"invoices": ["ENCRYPT"]}}"#)
        let vault = Vault(keeper: a, policy: policy, clock: parts.clock.read)
        #expect(throws: EncryptionError.changePending(key: "invoices", "CREATE")) {
            try vault.encrypt([1], key: "invoices", context: [], caller: service("token"))
        }
        _ = try slow.meet(holding: before + 1, forgetting: [])
        try await until { a.keyring["invoices"]?.isAwaited == false }
        #expect(try vault.encrypt([1], key: "invoices", context: [], caller: service("token")).version == 1)
    }

    /// Changes by two processes at once: every one is there afterwards, and in the log.
    @Test func noChangeIsLost() async throws {
        let parts = try await SharedParts()
        let (a, b) = (try parts.open("a", create: true), try parts.open("b"))
        defer { for keeper in [a, b] { keeper.stop() } }
        for number in 0..<20 {
            for (name, keeper) in [("a", a), ("b", b)] {
                let change = KeyChange.create(.mac, KeyOptions(), KeySettings())
                try keeper.request(change, of: "\(name)-\(number)", by: KeyActor(name: "operator"))
            }
        }
        for keeper in [a, b] { try await until { keeper.keyring.count == 43 && keeper.pendingChanges.isEmpty } }
        try await until { a.keyring.generation == b.keyring.generation && !a.keyring.isAwaiting }
        let log = try parts.auditLog()
        for name in ["a", "b"] {
            for number in 0..<20 { #expect(log.count { $0.contains("\"CREATE\"") && $0.contains("\"\(name)-\(number)\"") } == 1) }
        }
    }

    /// Two processes that each know of one place left: the second one is refused, and all can open what is there.
    @Test func twoProcessesDoNotOverfillAKeyring() async throws {
        let parts = try await SharedParts()
        let wanted = (1..<Keyring.maximumKeys).compactMap { KeySpecification("k\($0):MAC") }
        let (events, late) = (Events(), Events())
        let a = try parts.open("a", create: true, wanted: wanted, report: events.report)
        // It looks when it is asked for something, and hardly ever else.
        let b = try KeyringKeeper.open(
            parts.location("b"), wanted: wanted, mayCreate: false, maker: KeyMaker(publishLead: 0),
            sharing: Sharing(poll: 3_600_000_000), clock: parts.clock.read, uptime: parts.uptime.read, report: late.report)
        defer { for keeper in [a, b] { keeper.stop() } }
        func create(_ name: String, _ keeper: KeyringKeeper) throws {
            try keeper.request(.create(.mac, KeyOptions(), KeySettings()), of: name, by: KeyActor(name: "operator"))
        }
        try create("first", a)
        #expect(events.change())
        try #require(b.keyring.count == Keyring.maximumKeys - 1, "it has not looked yet")
        try create("second", b)
        try await until { b.pendingChanges.isEmpty }
        #expect(late.told == ["refused second: tooManyKeys"])
        #expect(b.keyring.count == Keyring.maximumKeys && b.keyring["first"] != nil)
        // Nor does a start with a key more.
        let more = wanted + ["another:MAC"].compactMap(KeySpecification.init)
        #expect(problem { try parts.open("c", create: true, wanted: more) } == .tooManyKeys(path: SQLKeyringStore.place))
        #expect(problem { try parts.open("c", wanted: wanted) } == nil)
    }

    /// Thousands of reservations by two processes at once, some of which end in the middle: no message is given twice.
    @Test("SP 800-38D 8.3: no two processes ever reserve the same messages") func reservesDoNotOverlap() async throws {
        let limits = UsageLimits(block: 7, rotateAt: 1 << 31, maximum: 1 << 32)
        let parts = try await SharedParts()
        try parts.open("a", create: true, limits: limits).stop()
        let request = ReserveRequest(
            key: "token-vault", version: 1, step: 7, rotateAt: 1 << 31, isRotated: true, maximum: 1 << 32)
        let blocks = try await withThrowingTaskGroup(of: [ReservedBlock].self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var store = try parts.store(limits: limits)
                    var keyring = try #require(try store.load(otherThan: .max))
                    var mine: [ReservedBlock] = []
                    for number in 0..<1000 {
                        let (next, blocks) = try store.reserve([request], of: keyring)
                        // Every hundredth process ends before it has used what it reserved.
                        if number % 100 == 99 {
                            store = try parts.store(limits: limits)
                            keyring = try #require(try store.load(otherThan: .max))
                        } else {
                            keyring = next
                        }
                        mine += blocks
                    }
                    store.release()
                    return mine
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(blocks.count == 2000)
        let ordered = blocks.sorted { $0.from < $1.from }
        #expect(zip(ordered, ordered.dropFirst()).allSatisfy { $0.upTo <= $1.from }, "none overlaps the next")
        let last = try parts.store(limits: limits).load(otherThan: .max)?["token-vault"]?.versions[0].reserved
        #expect(last == ordered.last?.upTo)
    }

    /// Two keepers with tiny blocks seal as fast as they can: what they seal together is never more than is reserved.
    @Test func blocksAreRefilledAtHalf() async throws {
        let limits = UsageLimits(block: 16, rotateAt: 1 << 31, maximum: 1 << 32)
        let parts = try await SharedParts()
        let keepers = [try parts.open("a", create: true, limits: limits), try parts.open("b", limits: limits)]
        defer { for keeper in keepers { keeper.stop() } }
        let sealed = try await withThrowingTaskGroup(of: Int.self) { group in
            for keeper in keepers {
                group.addTask {
                    let (vault, caller) = (try parts.vault(keeper), try service("token"))
                    var count = 0
                    while count < 500 {
                        do throws(EncryptionError) {
                            _ = try vault.encrypt([1], key: "token-vault", context: [], caller: caller)
                            count += 1
                        } catch {
                            guard error == .reserveExhausted(key: "token-vault") else { throw error }
                            await Task.yield()
                        }
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        let reserved = try #require(try parts.store(limits: limits).load(otherThan: .max)?["token-vault"]?.versions[0].reserved)
        #expect(reserved >= UInt64(sealed) && reserved <= UInt64(sealed + 4 * 16))
    }

    // MARK: Without the database

    @Test func withoutTheDatabaseKeysAreUsedAndNotAdministered() async throws {
        let limits = UsageLimits(block: 8, rotateAt: 1 << 31, maximum: 1 << 32)
        let parts = try await SharedParts()
        let events = Events()
        let a = try parts.open("a", create: true, limits: limits)
        let line = CutLine(try parts.store(limits: limits))
        let b = try parts.keeper(on: line, limits: limits, report: events.report)
        defer { for keeper in [a, b] { keeper.stop() } }
        let (vault, authority) = (try parts.vault(b), try parts.authority(b))
        line.cut()
        #expect(events.loss())

        // What is reserved is used up; then it is a refusal, at once.
        for _ in 0..<8 { _ = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")) }
        #expect(throws: EncryptionError.reserveExhausted(key: "token-vault")) {
            try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
        }
        #expect(EncryptionError.reserveExhausted(key: "k").rpcError.processed == .no)
        #expect(throws: EncryptionError.keyringUnreachable) { try b.requestRotation(of: "token-vault") }
        #expect(throws: EncryptionError.keyringUnreachable) {
            try b.request(.disable, of: "token-vault", by: KeyActor(name: "operator"))
        }

        // Within its lease it is waited for: so there is no version that it does not know.
        _ = try a.requestRotation(of: "token-vault")
        try await until { a.keyring["token-vault"]?.isAwaited == true }
        let unknown = Ciphertext.header(version: 2) + [UInt8](repeating: 0, count: 40)
        #expect(throws: EncryptionError.decryptionFailed) {
            try vault.decrypt(unknown, key: "token-vault", context: [], caller: service("token"))
        }
        #expect(!b.isStale)
        parts.uptime.advance(seconds: 16)
        #expect(b.isStale)
        try await until { a.keyring["token-vault"]?.isAwaited == false }
        let sealed = try parts.vault(a).encrypt([5], key: "token-vault", context: [], caller: service("token"))
        #expect(sealed.version == 2)

        // Now there may be, and is: that is no failure to decrypt.
        #expect(throws: EncryptionError.keyringStale) {
            try vault.decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: service("token"))
        }
        #expect(throws: EncryptionError.keyringStale) {
            let policy = try KeyPolicy(json: #"{"token": {"nothing-such": ["ENCRYPT"]}}"#)
            return try Vault(keeper: b, policy: policy).encrypt([1], key: "nothing-such", context: [], caller: service("token"))
        }
        #expect(try authority.publicKeys(caller: service("gateway")).keys.count == 1, "none signs that others have not had for long")
        parts.uptime.advance(seconds: 300)
        #expect(throws: EncryptionError.keyringStale) { try authority.publicKeys(caller: service("gateway")) }

        line.mend()
        #expect(events.comeback())
        let opened = try vault.decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: service("token"))
        #expect(opened == [5] && !b.isStale)
        #expect(try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")).version == 2)
    }

    // MARK: Rotation under load

    @Test("supabase/auth#2821: rotation while two processes seal and open fails nothing") func rotationUnderLoad() async throws {
        let parts = try await SharedParts()
        let (a, b) = (try parts.open("a", create: true, publishLead: 0), try parts.open("b", publishLead: 0))
        defer { for keeper in [a, b] { keeper.stop() } }
        let ends = Tally()
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for (mine, other) in [(a, b), (b, a)] {
                group.addTask {
                    let (vault, far) = (try parts.vault(mine), try parts.vault(other))
                    let (signer, verifier) = (try parts.authority(mine), try parts.authority(other))
                    let request = TokenAuthority.Request(subject: "u", audience: "lockstep", session: "s", roles: [], lifetime: 60)
                    var count = 0
                    while ends.value == 0 || count == 0 {
                        let sealed = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
                        _ = try far.decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: service("token"))
                        let token = try signer.sign(request, key: "access-token", caller: service("auth")).token
                        _ = try verifier.verify(token, audience: "lockstep", caller: service("auth"))
                        count += 1
                        await Task.yield()
                    }
                    return count
                }
            }
            for round in 0..<6 {
                let (keeper, name) = (round.isMultiple(of: 2) ? a : b, round.isMultiple(of: 3) ? "access-token" : "token-vault")
                let next = try #require(keeper.keyring[name]).next
                try keeper.request(.rotate, of: name, by: KeyActor(name: "operator"))
                for each in [a, b] { try await until { each.keyring[name]?.primary(at: parts.clock.now).number == next } }
            }
            ends.add()
            return try await group.reduce(0, +)
        }
        #expect(done > 0)
        #expect(a.keyring["token-vault"]?.versions.count == 5 && b.keyring["access-token"]?.versions.count == 3)
    }

    // MARK: Starts

    @Test func anEmptyDatabaseIsNoFirstStartWhereThereWasAKeyring() async throws {
        let parts = try await SharedParts()
        #expect(problem { try parts.open("a") } == .masterKeyMissing(path: parts.directory.path("master.key")))
        try Data().write(to: URL(filePath: parts.location("a").keyring))
        #expect(problem { try parts.open("a", create: true) } == .notMoved(path: parts.location("a").keyring))
        #expect(problem { try parts.open("b", create: true) } == nil)
        #expect(problem { try parts.open("b") } == nil)
        let database = try SQLKeyringStore.database(parts.url)
        try database.write { transaction in
            _ = try transaction.execute("DELETE FROM keyring")
        }
        #expect(problem { try parts.open("b", create: true) } == .sharedLost(mark: parts.location("b").sharedMark))
    }

    @Test func anotherMasterKeyOpensNothing() async throws {
        let parts = try await SharedParts()
        try parts.open("a", create: true).stop()
        let path = parts.directory.path("master.key")
        try FileManager.default.removeItem(atPath: path)
        #expect(problem { try parts.open("a", create: true) } == .masterKeyLost(path: path, keyring: SQLKeyringStore.place))
        _ = try MasterKeyInFile(path: path).create()
        #expect(problem { try parts.open("a") } == .wrongMasterKey(path: path, keyring: SQLKeyringStore.place))
    }

    /// Who may write the database can destroy the keyring, and not pass off an older part of it as the present one.
    @Test func aRowThatWasPutBackIsFound() async throws {
        let parts = try await SharedParts()
        try parts.open("a", create: true).stop()
        let database = try SQLKeyringStore.database(parts.url)
        for table in ["keyring", "keyring_reserves"] {
            let old = try database.read { try $0.one("SELECT sealed FROM \(table)").get("sealed", as: [UInt8].self) }
            let keeper = try parts.open("a")
            _ = try keeper.requestRotation(of: "token-vault")
            keeper.stop()
            let new = try database.read { try $0.one("SELECT sealed FROM \(table)").get("sealed", as: [UInt8].self) }
            #expect(old != new)
            try database.write { transaction in
                _ = try transaction.execute("UPDATE \(table) SET sealed = :sealed", ["sealed": old])
            }
            guard case .corrupt? = problem({ try parts.open("a") }) else {
                Issue.record("\(table) was taken")
                continue
            }
            try database.write { transaction in
                _ = try transaction.execute("UPDATE \(table) SET sealed = :sealed", ["sealed": new])
            }
        }
        #expect(problem { try parts.open("a") } == nil)
    }

    /// The settings that were not asked for stay as they are, not as they were when this process last looked.
    @Test func twoProcessesConfigureOneKey() async throws {
        let parts = try await SharedParts()
        let (events, late) = (Events(), Events())
        let a = try parts.open("a", create: true, report: events.report)
        // It looks when it is asked for something, and hardly ever else.
        let b = try KeyringKeeper.open(
            parts.location("b"), wanted: Parts.wanted, mayCreate: false, maker: KeyMaker(publishLead: Parts.publishLead),
            sharing: Sharing(poll: 3_600_000_000), clock: parts.clock.read, uptime: parts.uptime.read, report: late.report)
        defer { for keeper in [a, b] { keeper.stop() } }
        func desk(_ keeper: KeyringKeeper) throws -> KeyAdministration {
            KeyAdministration(keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), clock: parts.clock.read)
        }
        try desk(a).configure("email-outbox", caller: administrator()) { $0.rotateAfterUses = 1000 }
        #expect(events.change())
        try #require(b.keyring["email-outbox"]?.settings.rotateAfterUses == 0, "it has not looked yet")
        try desk(b).configure("email-outbox", caller: administrator()) { $0.rotateAfter = 86_400 }
        #expect(late.change())
        let settings = try #require(b.keyring["email-outbox"]?.settings)
        #expect(settings.rotateAfterUses == 1000 && settings.rotateAfter == 86_400)
        #expect(try parts.auditLog().last?.contains(#""detail":"rotate_after_s 0 to 86400""#) == true)
    }

    @Test func theDatabaseShowsNoKey() async throws {
        let parts = try await SharedParts()
        let keeper = try parts.open("a", create: true)
        defer { keeper.stop() }
        let database = try SQLKeyringStore.database(parts.url)
        for table in ["keyring", "keyring_reserves"] {
            let row = Data(try database.read { try $0.one("SELECT sealed FROM \(table)").get("sealed", as: [UInt8].self) })
            #expect(row.firstRange(of: Data("token-vault".utf8)) == nil)
            for version in keeper.keyring.keys.flatMap(\.versions) {
                guard case .aead(let key, _) = version.material else { continue }
                #expect(row.firstRange(of: key.withUnsafeBytes { Data($0) }) == nil)
            }
        }
    }

    /// What was done to the log between two starts is found at the second; put back, it is the log again.
    @Test("ASVS 16.4.2: a shared log that was changed anywhere stops administration, and nothing else",
        arguments: ["emptied", "first removed", "replaced"])
    func aLogThatWasChangedIsFoundAtTheStart(how: String) async throws {
        let parts = try await SharedParts()
        let keeper = try parts.open("a", create: true)
        for state in [KeyChange.disable, .enable] {
            try keeper.request(state, of: "email-outbox", by: KeyActor(name: "operator"))
            try await until { keeper.pendingChanges.isEmpty }
        }
        keeper.stop()
        let database = try SQLKeyringStore.database(parts.url)
        let lines = try SQLKeyringStore.auditLines(database, after: 0)
        try #require(lines.count >= 5)
        let forged = try AuditRecord.next(
            AuditEntry(action: "CREATE", key: "email-outbox", actor: "nobody"), after: AuditRecord(line: lines[0].line.utf8).head,
            time: 1
        ).line.dropLast()
        func write(_ lines: [(sequence: Int64, line: String)]) throws {
            try database.write { transaction in
                try transaction.execute("DELETE FROM key_audit")
                for line in lines {
                    try transaction.execute(
                        "INSERT INTO key_audit (sequence, line) VALUES (:sequence, :line)",
                        ["sequence": line.sequence, "line": line.line])
                }
            }
        }
        switch how {
        case "emptied": try write([])
        case "first removed": try write(Array(lines.dropFirst()))
        default:
            try write(lines.map { ($0.sequence, $0.sequence == 2 ? String(decoding: forged, as: UTF8.self) : $0.line) })
        }
        let events = Events()
        let again = try parts.open("a", report: events.report)
        defer { again.stop() }
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try again.requestRotation(of: "token-vault") }
        _ = try parts.vault(again).encrypt([1], key: "token-vault", context: [], caller: service("token"))
        try write(lines)
        #expect(events.resume())
        _ = try again.requestRotation(of: "token-vault")
        #expect(events.change())
        #expect(try parts.auditLog().contains { $0.contains("RESUME") })
    }

    /// Emptied under a running process: it is no log that may begin anywhere.
    @Test func aLogThatWasEmptiedStopsTheNextChange() async throws {
        let parts = try await SharedParts()
        let events = Events()
        let keeper = try parts.open("a", create: true, report: events.report)
        defer { keeper.stop() }
        let database = try SQLKeyringStore.database(parts.url)
        try database.write { transaction in _ = try transaction.execute("DELETE FROM key_audit") }
        try keeper.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { !events.told.isEmpty || (try? keeper.requestRotation(of: "token-vault")) == nil }
        #expect(events.told.isEmpty, "the change is not made")
        #expect(events.stop())
    }

    /// A log that was moved away goes on where it ended, when configuration says so.
    @Test func aLogThatIsBegunAnew() async throws {
        let parts = try await SharedParts()
        let keeper = try parts.open("a", create: true)
        keeper.stop()
        let head = keeper.keyring.audit
        let database = try SQLKeyringStore.database(parts.url)
        try database.write { transaction in _ = try transaction.execute("DELETE FROM key_audit") }
        var location = parts.location("a")
        location.auditBeginsAfter = head.sequence
        let events = Events()
        let again = try KeyringKeeper.open(
            location, wanted: Parts.wanted, mayCreate: false, maker: KeyMaker(publishLead: 0), sharing: SharedParts.sharing,
            clock: parts.clock.read, uptime: parts.uptime.read, report: events.report)
        defer { again.stop() }
        try again.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        #expect(events.change())
        let records = try SQLKeyringStore.auditLines(database, after: 0).map { try AuditRecord(line: $0.line.utf8) }
        #expect(records.prefix(2).map(\.entry.action) == ["BEGIN", "DISABLE"])
        #expect(records.first?.previous == head.hash)
    }

    /// A log that was cut stops administration and nothing else.
    @Test func aLogThatWasCutIsFound() async throws {
        let parts = try await SharedParts()
        let events = Events()
        let keeper = try parts.open("a", create: true, report: events.report)
        defer { keeper.stop() }
        try keeper.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        #expect(events.change())
        let database = try SQLKeyringStore.database(parts.url)
        let cut = try database.write { transaction in
            try transaction.one(
                "DELETE FROM key_audit WHERE sequence = (SELECT max(sequence) FROM key_audit) RETURNING sequence, line")
        }
        try keeper.request(.enable, of: "email-outbox", by: KeyActor(name: "operator"))
        #expect(events.stop())
        #expect(throws: EncryptionError.administrationStopped) { try keeper.requestRotation(of: "token-vault") }
        _ = try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token"))
        let (sequence, line) = (try cut.get("sequence", as: Int64.self), try cut.get("line", as: String.self))
        try database.write { transaction in
            _ = try transaction.execute(
                "INSERT INTO key_audit (sequence, line) VALUES (:sequence, :line)", ["sequence": sequence, "line": line])
        }
        #expect(events.resume())
        #expect(events.change())
        #expect(try parts.auditLog().contains { $0.contains("RESUME") })
    }
}
