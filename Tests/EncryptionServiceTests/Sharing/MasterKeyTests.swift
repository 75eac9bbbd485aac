import Foundation
import LibCrypto
import RPCCore
import ServiceKit
import TestSupport
import Testing

@testable import EncryptionService

@Suite struct MasterKeyTests {
    private static let (a, b) = (String(repeating: "a1", count: 32), String(repeating: "b2", count: 32))

    @Test(arguments: [
        "", "a1", "pkcs11:\(a)", "\(a) \(b)", "\(a) \(a)", "\(a) next", "\(a) next \(a)", "\(a) other \(b)", "\(a) next \(b) old",
        "\(a)\nold zz",
    ])
    func textsThatAreNoMasterKey(_ text: String) {
        #expect(MasterKeyFile(Array(text.utf8)) == nil)
    }

    @Test func theTextOfEachStep() throws {
        var file = try #require(MasterKeyFile(Array("\(Self.a)\n".utf8)))
        file.drop()
        file.promote()
        #expect(file.text == Array("\(Self.a)\n".utf8))
        file.add(try #require(MasterKeyFile(Array(Self.b.utf8))))
        #expect(file.text == Array("\(Self.a)\nnext \(Self.b)\n".utf8))
        file.drop()
        file.promote()
        #expect(file.text == Array("\(Self.b)\nold \(Self.a)\n".utf8))
        #expect(MasterKeyFile(file.text)?.text == file.text)
        file.drop()
        #expect(file.text == Array("\(Self.b)\n".utf8))
    }

    /// A pipe, as a shell or a service manager hands it over.
    @Test func fromAFileDescriptor() throws {
        var parts = try Parts()
        try parts.open(create: true).stop()
        let key = try Data(contentsOf: URL(filePath: parts.location.masterKey))
        try FileManager.default.removeItem(atPath: parts.location.masterKey)
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: key)
        try pipe.fileHandleForWriting.close()
        let descriptor = dup(pipe.fileHandleForReading.fileDescriptor)
        parts.location.masterKeyDescriptor = descriptor
        try parts.open().stop()
        #expect(fcntl(descriptor, F_GETFD) < 0, "it is closed once it was read")
        // The number is another file's by now, which the process has opened itself.
        let place = "file descriptor \(descriptor)"
        #expect(parts.problem() == .io(path: place, operation: "read", reason: "the process was not started with it"))
        let empty = Pipe()
        try empty.fileHandleForWriting.close()
        parts.location.masterKeyDescriptor = dup(empty.fileHandleForReading.fileDescriptor)
        guard case .masterKeyLost? = parts.problem(create: true) else {
            Issue.record("opened without a key")
            return
        }
    }
}

/// The master key is replaced, and whatever stops it, the keyring opens.
@Suite(.everyEngine) struct MasterKeyRotationTests {
    /// A place for a keyring: a file, or a database.
    private func place(shared: Bool) async throws -> Parts {
        var parts = try Parts()
        if shared { parts.location.database = Redacted(try await Engine.current.freshURL(parts.directory.path("k.sqlite"))) }
        return parts
    }

    private func text(_ parts: Parts) throws -> String { try String(contentsOfFile: parts.location.masterKey, encoding: .utf8) }

    /// The process ends after each step, and another one starts: what was sealed opens, and keys are administered.
    @Test(arguments: [false, true]) func itMayEndAfterEachStep(shared: Bool) async throws {
        let parts = try await place(shared: shared)
        let first = try parts.open(create: true)
        let sealed = try parts.vault(first).encrypt([7], key: "token-vault", context: [], caller: service("token")).ciphertext
        first.stop()
        let before = try text(parts)
        var steps: [MasterKeyRotation.Step] = []
        repeat {
            // A rotation of its own each time: nothing is remembered but what is durable.
            let step = try MasterKeyRotation(parts.location).next()
            #expect(try MasterKeyRotation(parts.location).take(step))
            steps.append(step)
            let keeper = try parts.open()
            let vault = try parts.vault(keeper)
            #expect(try vault.decrypt(sealed, key: "token-vault", context: [], caller: service("token")) == [7])
            _ = try keeper.requestRotation(of: "email-outbox")
            keeper.stop()
        } while steps.last != .drop && steps.count < 8
        // The start after the promotion may have sealed it already.
        #expect(steps.filter { $0 != .seal } == [.add, .promote, .drop])
        let after = try text(parts)
        #expect(after.split(separator: "\n").count == 1 && after != before)
        #expect(try MasterKeyRotation(parts.location).next() == .add, "the next one may begin")
        // The old key opens nothing any more.
        try before.write(toFile: parts.location.masterKey, atomically: false, encoding: .utf8)
        guard case .wrongMasterKey? = parts.problem() else {
            Issue.record("it opened with the old master key")
            return
        }
    }

    @Test(arguments: [false, true]) func withoutAService(shared: Bool) async throws {
        let parts = try await place(shared: shared)
        try parts.open(create: true).stop()
        let rotation = MasterKeyRotation(parts.location)
        for expected in [MasterKeyRotation.Step.add, .promote, .seal, .drop] {
            #expect(try rotation.next() == expected)
            #expect(try rotation.take(expected))
        }
        #expect(parts.problem() == nil)
        let told = try entries(parts).filter { ["MASTER_KEY", "SEAL"].contains($0.action) }.map { $0.action + " " + $0.detail }
        try #require(told.count == 4)
        #expect(told[0].hasPrefix("MASTER_KEY add: key ") && told[0].contains(", next "))
        #expect(told[1].hasPrefix("MASTER_KEY promote: key ") && told[1].contains(", old "))
        #expect(told[2].hasPrefix("SEAL under the master key "))
        #expect(told[3] == "MASTER_KEY drop: key \(told[2].split(separator: " ").last ?? "")")
    }

    private func entries(_ parts: Parts) throws -> [AuditEntry] {
        let lines: [String]
        if let url = parts.location.database {
            lines = try url.withExposed { try SQLKeyringStore.auditLines(try SQLKeyringStore.database($0), after: 0).map(\.line) }
        } else {
            lines = try String(contentsOfFile: parts.location.audit, encoding: .utf8).split(separator: "\n").map(String.init)
        }
        return try lines.map { try AuditRecord(line: $0.utf8).entry }
    }

    /// The service has the log to itself: it tells of what it finds in the file.
    @Test func aServiceTellsOfTheMasterKeysFile() throws {
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        let rotation = MasterKeyRotation(parts.location)
        #expect(try rotation.take(.add))
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        #expect(try rotation.take(.promote))
        keeper.look()
        #expect(events.seal())
        #expect(try rotation.take(.drop))
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        keeper.stop()
        let told = try entries(parts).dropFirst(3)
        #expect(told.map(\.action) == ["MASTER_KEY", "ROTATE", "MASTER_KEY", "SEAL", "MASTER_KEY", "ROTATE"])
        #expect(told.filter { $0.action == "MASTER_KEY" }.map { $0.detail.split(separator: " ").count } == [4, 4, 2])
        #expect(told.allSatisfy { !$0.detail.contains("add:") })
        #expect(parts.problem() == nil)
    }

    /// Messages are sealed and opened, and keys are rotated, while it goes on.
    @Test(arguments: [false, true]) func whileServicesRun(shared: Bool) async throws {
        let parts = try await place(shared: shared)
        let events = Events()
        let a = try parts.open(create: true, report: events.report)
        let b = shared ? try parts.open() : a
        defer { for keeper in [a, b] { keeper.stop() } }
        let ends = Tally()
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                let (vault, far, caller) = (try parts.vault(a), try parts.vault(b), try service("token"))
                var count = 0
                while ends.value == 0 || count == 0 {
                    let sealed = try vault.encrypt([1], key: "token-vault", context: [], caller: caller)
                    _ = try far.decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: caller)
                    count += 1
                    await Task.yield()
                }
                return count
            }
            let rotation = MasterKeyRotation(parts.location)
            for step in [MasterKeyRotation.Step.add, .promote, .seal, .drop] {
                // A service may have been quicker.
                guard try rotation.next() == step else { continue }
                if try !rotation.take(step) {
                    a.look()
                    try await until { try rotation.next() != step }
                }
            }
            try await until {
                let next = a.keyring["token-vault"]?.next
                _ = try? a.requestRotation(of: "token-vault")
                try await until { a.pendingChanges.isEmpty }
                return a.keyring["token-vault"]?.next != next
            }
            ends.add()
            return try await group.reduce(0, +)
        }
        #expect(count > 0)
        #expect(try MasterKeyRotation(parts.location).next() == .add)
        for keeper in [a, b] { keeper.stop() }
        #expect(parts.problem() == nil)
    }

    /// Two commands at once: the slower one takes no step that the other has taken already.
    @Test(arguments: [false, true]) func aStepThatWasTakenIsNotTakenAgain(shared: Bool) async throws {
        let parts = try await place(shared: shared)
        try parts.open(create: true).stop()
        let rotation = MasterKeyRotation(parts.location)
        let late = try rotation.next()
        for step in [MasterKeyRotation.Step.add, .promote] { #expect(try rotation.take(step)) }
        let before = try text(parts)
        #expect(try late == .add && rotation.take(late))
        #expect(try text(parts) == before, "the old key, under which the keyring is sealed, is there still")
        // While one is at it, another one waits.
        let path = parts.location.masterKey + ".lock"
        let lock = try ProcessLock(path)
        #expect(throws: KeyringProblem.masterKeyLocked(path: path)) { try rotation.take(.seal) }
        lock.release()
        #expect(parts.problem() == nil)
    }

    /// Somebody put another file there too early: the process still opens what is sealed under the key that it had.
    @Test func theKeyInUseIsNotForgotten() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("master.key")
        let file = MasterKeyInFile(path: path)
        let first = try file.create().key
        let keys = try MasterKeys.open(file, keyring: nil, mayCreate: false)
        keys.note(present: first.id)
        try PrivateFile.replace(path, MasterKeyFile(token: nil).text)
        #expect(try keys.look(), "the keyring is to be sealed under the new one")
        #expect(try keys.key(first.id) != nil, "which opens it first")
        #expect(keys.sealing.id != first.id)
    }

    /// A process elsewhere has a file of its own, which is prepared, and replaced much later.
    @Test func aProcessOnAnotherMachine() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        var elsewhere = parts.location("b")
        elsewhere.masterKey = parts.directory.path("elsewhere.key")
        func copy() throws {
            try PrivateFile.replace(elsewhere.masterKey, Array(try Data(contentsOf: URL(filePath: parts.location("a").masterKey))))
        }
        try copy()
        let b = try KeyringKeeper.open(
            elsewhere, wanted: Parts.wanted, mayCreate: false, maker: KeyMaker(publishLead: 0), sharing: SharedParts.sharing,
            clock: parts.clock.read, uptime: parts.uptime.read, report: { _ in })
        defer { for keeper in [a, b] { keeper.stop() } }
        let rotation = MasterKeyRotation(parts.location("a"))
        #expect(try rotation.next() == .add)
        #expect(try rotation.take(.add))
        try copy()
        for step in [MasterKeyRotation.Step.promote, .seal, .drop] where try rotation.next() == step {
            #expect(try rotation.take(step))
        }
        // It seals under the new one, though its own file names the old one first.
        try await until { b.keyring.generation >= a.keyring.generation && b.keyring.generation > 1 }
        try b.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { a.keyring["email-outbox"]?.state == .disabled }
        #expect(!a.isStale && !b.isStale)
        #expect(try rotation.next() == .add)
        try copy()
        try b.request(.enable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { a.keyring["email-outbox"]?.state == .enabled }
    }
}
