import Foundation
import RPCCore
import ServiceKit
import TestSupport
import Testing

@testable import EncryptionService

/// From the file into a database; and what else may become of a file.
@Suite struct KeyringMoveTests {
    @Test(.everyEngine) func everythingArrives() async throws {
        var parts = try Parts()
        let url = try await Engine.current.freshURL(parts.directory.path("keyring.sqlite"))
        let events = Events()
        let keeper = try parts.open(create: true, report: events.report)
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        let sealed = try parts.vault(keeper).encrypt([7], key: "token-vault", context: [], caller: service("token")).ciphertext
        let kid = try parts.authority(keeper).publicKeys(caller: service("gateway")).keys.map(\.kid)
        parts.location.database = Redacted(url)
        #expect(throws: KeyringProblem.inUse(path: parts.location.lock)) { try KeyringMove(parts.location).run(now: 1) }
        keeper.stop()

        let report = try KeyringMove(parts.location).run(now: parts.clock.now)
        #expect(report.keys == 3 && report.versions == 4)
        #expect(report.records == 5, "three keys made, a rotation, the move")
        #expect(!FileManager.default.fileExists(atPath: parts.location.keyring))
        #expect(FileManager.default.fileExists(atPath: report.file))
        #expect(throws: KeyringProblem.missing(path: parts.location.keyring)) { try KeyringMove(parts.location).run(now: 1) }

        let shared = try parts.open()
        defer { shared.stop() }
        let opened = try parts.vault(shared).decrypt(sealed, key: "token-vault", context: [], caller: service("token"))
        #expect(opened == [7])
        #expect(try parts.authority(shared).publicKeys(caller: service("gateway")).keys.map(\.kid) == kid)
        #expect(shared.keyring["token-vault"]?.versions[1].reserved == 2 << 18, "what the file had reserved counts as used")
        var lines: [String] = []
        try SharedAuditLog(Redacted(url)).each { lines.append($0) }
        var chain = AuditChain(after: AuditHead.none)
        for line in lines { try chain.take(line.utf8) }
        #expect(lines.last?.contains("\"MOVE\"") == true)

        // The file alone is no keyring any more.
        parts.location.database = nil
        let away = KeyringProblem.movedAway(path: parts.location.keyring, mark: parts.location.sharedMark)
        #expect(parts.problem(create: true) == away)
        // Nor is it where somebody puts the file back: the same keys would have two counters.
        try FileManager.default.copyItem(atPath: report.file, toPath: parts.location.keyring)
        #expect(parts.problem() == away)
    }

    /// It ended when the database had taken it, and before the file was renamed.
    @Test(.everyEngine) func aMoveThatWasStoppedGoesOn() async throws {
        var parts = try Parts()
        try parts.open(create: true).stop()
        parts.location.database = Redacted(try await Engine.current.freshURL(parts.directory.path("keyring.sqlite")))
        let report = try KeyringMove(parts.location).run(now: parts.clock.now)
        func takeBack() throws {
            try FileManager.default.moveItem(atPath: report.file, toPath: parts.location.keyring)
            try FileManager.default.removeItem(atPath: parts.location.sharedMark)
        }
        try takeBack()
        // Others use it by now.
        let shared = try parts.open()
        _ = try shared.requestRotation(of: "token-vault")
        shared.stop()
        try FileManager.default.removeItem(atPath: parts.location.sharedMark)
        #expect(try KeyringMove(parts.location).run(now: parts.clock.now) == report)
        #expect(!FileManager.default.fileExists(atPath: parts.location.keyring))
        #expect(FileManager.default.fileExists(atPath: parts.location.sharedMark))
        // A file that was used again since is another keyring.
        try takeBack()
        var file = parts
        file.location.database = nil
        let keeper = try file.open()
        _ = try keeper.requestRotation(of: "token-vault")
        keeper.stop()
        #expect(throws: KeyringProblem.alreadyThere) { try KeyringMove(parts.location).run(now: parts.clock.now) }
        #expect(file.problem() == nil, "it is as it was")
    }

    @Test(.everyEngine) func aDatabaseWithAKeyringTakesNoOther() async throws {
        var parts = try Parts()
        let shared = try await SharedParts()
        try shared.open("a", create: true).stop()
        try parts.open(create: true).stop()
        parts.location.database = Redacted(shared.url)
        #expect(throws: KeyringProblem.alreadyThere) { try KeyringMove(parts.location).run(now: 1) }
        parts.location.database = nil
        #expect(parts.problem() == nil, "the file is as it was")
    }

    /// SIGHUP: a later file that somebody has put there is taken over; an earlier one is not.
    @Test func aFileIsReadAnew() async throws {
        let parts = try Parts()
        let events = Events()
        func bytes() throws -> Data { try Data(contentsOf: URL(filePath: parts.location.keyring)) }
        func put(_ bytes: Data) throws {
            try PrivateFile.replace(parts.location.keyring, Array(bytes))
        }
        try parts.open(create: true).stop()
        let early = try bytes()
        let earlyLog = try Data(contentsOf: URL(filePath: parts.location.audit))
        // What another machine made of it, with the log.
        let elsewhere = try parts.open(report: events.report)
        _ = try elsewhere.requestRotation(of: "token-vault")
        #expect(events.change())
        elsewhere.stop()
        let (late, log) = (try bytes(), try Data(contentsOf: URL(filePath: parts.location.audit)))
        try put(early)
        try PrivateFile.replace(parts.location.audit, Array(earlyLog))

        let keeper = try parts.open(report: events.report)
        defer { keeper.stop() }
        #expect(keeper.keyring["token-vault"]?.versions.count == 1)
        try PrivateFile.replace(parts.location.audit, Array(log))
        try put(late)
        keeper.reload()
        try await until { keeper.keyring["token-vault"]?.versions.count == 2 }
        // Once messages are reserved, nothing writes the file any more.
        try await until {
            guard case .aead(_, let meter)? = keeper.keyring["token-vault"]?.version(2)?.material else { return false }
            return !meter.isLow
        }
        _ = try parts.vault(keeper).encrypt([1], key: "token-vault", context: [], caller: service("token"))

        try put(early)
        keeper.reload()
        #expect(events.failure())
        #expect(keeper.keyring["token-vault"]?.versions.count == 2)
    }
}
