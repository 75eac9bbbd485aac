import RPCCore
import TestSupport
import Testing

@testable import EncryptionService

/// Two processes whose PostgreSQL goes away under them, and comes back.
@Suite struct SharedOutageTests {
    @Test(arguments: [false, true]) func postgresStoppedAndStarted(isCrash: Bool) async throws {
        let server = try await PostgresServer()
        let parts = try await SharedParts(url: server.freshURL())
        let events = [Events(), Events()]
        let a = try parts.open("a", create: true, report: events[0].report)
        let b = try parts.open("b", report: events[1].report)
        defer { for keeper in [a, b] { keeper.stop() } }
        let ends = Tally()
        let failures = Tally()
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for (mine, other) in [(a, b), (b, a)] {
                group.addTask {
                    let (vault, far, caller) = (try parts.vault(mine), try parts.vault(other), try service("token"))
                    var count = 0
                    while ends.value == 0 || count == 0 {
                        do throws(EncryptionError) {
                            let sealed = try vault.encrypt([1], key: "token-vault", context: [], caller: caller)
                            _ = try far.decrypt(sealed.ciphertext, key: "token-vault", context: [], caller: caller)
                            count += 1
                        } catch {
                            // Blocks may run out while the database is away; nothing else may happen.
                            if error != .reserveExhausted(key: "token-vault") { failures.add() }
                        }
                        await Task.yield()
                    }
                    return count
                }
            }
            if isCrash { try await server.crash() } else { try await server.stop() }
            for event in events { #expect(event.loss()) }
            for keeper in [a, b] {
                #expect(throws: EncryptionError.keyringUnreachable) { try keeper.requestRotation(of: "token-vault") }
            }
            try await server.start()
            for event in events { #expect(event.comeback()) }
            #expect(try a.requestRotation(of: "token-vault") == 2)
            for keeper in [a, b] {
                try await until { keeper.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2 }
            }
            ends.add()
            return try await group.reduce(0, +)
        }
        #expect(done > 0 && failures.value == 0)
    }

    /// A process that asked for a change and lost the database before it was made makes it afterwards.
    @Test func aChangeThatWasAskedForComesLater() async throws {
        let server = try await PostgresServer()
        let parts = try await SharedParts(url: server.freshURL())
        let events = Events()
        let a = try parts.open("a", create: true, report: events.report)
        defer { a.stop() }
        try await server.freeze()
        // It has not noticed yet, or is in the middle of noticing.
        let isTaken = (try? a.requestRotation(of: "token-vault")) != nil
        #expect(events.loss())
        try await server.thaw()
        #expect(events.comeback())
        if !isTaken { _ = try a.requestRotation(of: "token-vault") }
        try await until { a.keyring["token-vault"]?.primary(at: parts.clock.now).number ?? 0 >= 2 }
    }
}
