import Foundation
import SQL
import TestSupport
import Testing

@testable import EncryptionService

/// A database that was put back under processes which have seen a later one: by whoever may write it, by a restored backup, or
/// by a failover to a standby that lost the last commits.
@Suite(.everyEngine) struct PutBackTests {
    /// The whole row, with its revision.
    private struct Copy: Sendable {
        let revision: Int64
        let sealed: [UInt8]
    }

    private func copy(_ database: BlockingDatabase) throws -> Copy {
        try database.read { connection in
            let row = try connection.one("SELECT revision, sealed FROM keyring")
            return Copy(revision: try row.get("revision"), sealed: try row.get("sealed"))
        }
    }

    private func put(_ copy: Copy, _ database: BlockingDatabase) throws {
        try database.write { transaction in
            _ = try transaction.execute(
                "UPDATE keyring SET revision = :revision, sealed = :sealed", ["revision": copy.revision, "sealed": copy.sealed])
        }
    }

    /// Emptied under a running process: that is no change of another one's.
    @Test func anEmptiedTableIsTold() async throws {
        let parts = try await SharedParts()
        try parts.open("a", create: true).stop()
        let store = try parts.store()
        defer { store.release() }
        _ = try store.load(otherThan: .max)
        let database = try SQLKeyringStore.database(parts.url)
        try database.write { transaction in _ = try transaction.execute("DELETE FROM keyring") }
        #expect(throws: KeyringProblem.sharedLost(mark: "keyring.shared")) { try store.meet(holding: 1, forgetting: []) }
    }

    @Test func aRunningProcessKeepsTheLaterKeyring() async throws {
        let parts = try await SharedParts()
        let events = Events()
        let keeper = try parts.open("a", create: true, report: events.report)
        defer { keeper.stop() }
        let database = try SQLKeyringStore.database(parts.url)
        let old = try copy(database)
        _ = try keeper.requestRotation(of: "token-vault")
        try await until { keeper.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2 }
        let sealed = try parts.vault(keeper).encrypt([7], key: "token-vault", context: [], caller: service("token"))
        let new = try copy(database)
        try put(old, database)
        #expect(events.loss(), "it is told")
        #expect(keeper.keyring.generation == UInt64(new.revision))
        let opened = try parts.vault(keeper).decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: service("token"))
        #expect(opened == [7], "the only copy of version 2 is kept")
        #expect(throws: EncryptionError.keyringUnreachable) { try keeper.requestRotation(of: "token-vault") }
        #expect(try copy(database).revision == old.revision, "and nothing is made of the earlier one")

        // Nor does this host take the earlier one at its next start.
        keeper.stop()
        let mark = parts.location("a").sharedMark
        #expect(
            problem { try parts.open("a") }
                == .sharedPutBack(generation: UInt64(old.revision), known: UInt64(new.revision), mark: mark))
        try put(new, database)
        let again = try parts.open("a")
        defer { again.stop() }
        #expect(try parts.vault(again).decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: service("token")) == [7])
    }

    /// Another process goes on from the earlier one, up to the same number: the numbers agree, and the keyrings do not.
    @Test(arguments: [1, 2]) func aForkIsFound(changes: Int) async throws {
        let parts = try await SharedParts()
        let events = Events()
        try parts.open("b", create: true).stop()
        let database = try SQLKeyringStore.database(parts.url)
        let line = CutLine(try parts.store())
        let keeper = try parts.keeper(on: line, limits: .standard, report: events.report)
        defer { keeper.stop() }
        let old = try copy(database)
        try keeper.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        #expect(events.change())
        // It does not look while the other one is at work.
        line.cut()
        #expect(events.loss())
        try put(old, database)
        try database.write { transaction in
            _ = try transaction.execute("DELETE FROM key_audit WHERE sequence = (SELECT max(sequence) FROM key_audit)")
        }
        let fork = Events()
        let other = try parts.open("c", report: fork.report)
        for _ in 0..<changes {
            try other.request(.disable, of: "email-outbox", by: KeyActor(name: "somebody"))
            #expect(fork.change())
        }
        other.stop()
        #expect(try copy(database).revision == old.revision + Int64(changes))
        let held = keeper.keyring.audit
        line.mend()
        // It looks again, and is not taken in: with what is there nothing is done.
        let before = line.attempts
        try await until { line.attempts > before + 3 }
        #expect(throws: EncryptionError.keyringUnreachable) { try keeper.requestRotation(of: "token-vault") }
        #expect(keeper.keyring.audit == held)
    }
}
