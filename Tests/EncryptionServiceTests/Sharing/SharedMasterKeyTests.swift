import Foundation
import TestSupport
import Testing

@testable import EncryptionService

/// One machine's master key file is not what it should be: that is its own trouble, and no other's.
@Suite(.everyEngine) struct SharedMasterKeyTests {
    private static let elsewhere = "elsewhere.key"

    /// A process on another machine, with a copy of the master key.
    private func host(_ parts: SharedParts, report: @escaping @Sendable (KeyringEvent) -> Void) throws -> (KeyringKeeper, CutLine) {
        let key = try Data(contentsOf: URL(filePath: parts.directory.path("master.key")))
        try PrivateFile.replace(parts.directory.path(Self.elsewhere), Array(key))
        let line = CutLine(try parts.store(masterKey: Self.elsewhere))
        return (try parts.keeper(on: line, report: report), line)
    }

    private func sealedUnder(_ parts: SharedParts) throws -> [UInt8] {
        let sealed = try #require(try SQLKeyringStore.sealed(SQLKeyringStore.database(parts.url)))
        return try KeyringCodec.masterKeyID(of: sealed, path: "")
    }

    /// The master key was replaced, and the file was not copied: whoever cannot open the keyring any more is not waited for.
    @Test func whoCannotOpenTheKeyringHoldsUpNobody() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        let events = Events()
        let (b, line) = try host(parts, report: events.report)
        defer { for keeper in [a, b] { keeper.stop() } }
        let rotation = MasterKeyRotation(parts.location("a"))
        for step in [MasterKeyRotation.Step.add, .promote, .seal, .drop] where try rotation.next() == step {
            try await until { try rotation.take(step) }
        }
        try await until { try rotation.next() == .add }
        #expect(events.loss())
        let watcher = try parts.store()
        defer { watcher.release() }
        func beats() throws -> [Int64] {
            let others = try watcher.meet(holding: .max / 2, forgetting: []).others
            return others.filter { $0.holds < a.keyring.generation }.map(\.beat)
        }
        // It looks again and again, and says no more that it lives. The other one is here too, for as long as it has not said that
        // it has what it just wrote; and on a busy machine this one may still be about to look for the first time.
        try await until {
            let before = try beats()
            let attempts = line.attempts
            try await until { line.attempts > attempts + 2 }
            return try before.count == 1 && beats() == before
        }
        _ = try a.requestRotation(of: "token-vault")
        try await until {
            parts.uptime.advance(seconds: 1)
            return a.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2
        }
        #expect(b.isStale)
        // With the right file it is back.
        let key = try Data(contentsOf: URL(filePath: parts.directory.path("master.key")))
        try PrivateFile.replace(parts.directory.path(Self.elsewhere), Array(key))
        #expect(events.comeback())
        try await until { b.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2 }
    }

    /// An old file put back by some configuration management, or a fresh one: the keyring stays sealed as it is.
    @Test func aWrongFileOnOneMachineSealsNothing() async throws {
        let parts = try await SharedParts()
        let a = try parts.open("a", create: true)
        let events = Events()
        let (b, _) = try host(parts, report: events.report)
        defer { for keeper in [a, b] { keeper.stop() } }
        let id = try sealedUnder(parts)
        try PrivateFile.replace(parts.directory.path(Self.elsewhere), MasterKeyFile(token: nil).text)
        b.look()
        #expect(events.failure(), "it is told")
        for change in [KeyChange.disable, .enable] {
            try b.request(change, of: "email-outbox", by: KeyActor(name: "operator"))
            #expect(events.change())
            #expect(try sealedUnder(parts) == id)
        }
        try await until { a.keyring.generation == b.keyring.generation }
        #expect(problem { try parts.open("c") } == nil)
        // A rotation of the master key says what comes after what: that is followed.
        let rotation = MasterKeyRotation(parts.location("a"))
        #expect(try rotation.take(.add))
        let key = try Data(contentsOf: URL(filePath: parts.directory.path("master.key")))
        try PrivateFile.replace(parts.directory.path(Self.elsewhere), Array(key))
        for step in [MasterKeyRotation.Step.promote, .seal, .drop] where try rotation.next() == step {
            try await until { try rotation.take(step) }
        }
        try await until { try sealedUnder(parts) != id && a.keyring.generation == b.keyring.generation }
        try b.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        try await until { a.keyring["email-outbox"]?.state == .disabled }
    }

    /// A file that cannot be read keeps nothing from being done with the key that is known.
    @Test func aMalformedFileStopsNoAdministration() async throws {
        let parts = try await SharedParts()
        try parts.open("a", create: true).stop()
        let events = Events()
        let (b, _) = try host(parts, report: events.report)
        defer { b.stop() }
        try PrivateFile.replace(parts.directory.path(Self.elsewhere), Array("no key\n".utf8))
        try b.request(.disable, of: "email-outbox", by: KeyActor(name: "operator"))
        #expect(events.change())
        #expect(b.keyring["email-outbox"]?.state == .disabled)
    }
}
