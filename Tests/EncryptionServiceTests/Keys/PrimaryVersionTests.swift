import LibCrypto
import TestSupport
import Testing

@testable import EncryptionService

/// Which version of a key seals, and for how long what was found stays true.
@Suite struct PrimaryVersionTests {
    /// What seals is kept from one message to the next, and for no longer than it is right.
    @Test func sealingFollowsEachChangeAndTheClock() throws {
        let desk = try Desk()
        try desk.create("a")
        let clock = desk.parts.clock
        func version() throws -> UInt8 { try desk.seal("a")[4] }
        #expect(try version() == 1)
        clock.advance(seconds: 10)
        try desk.rotate("a")
        #expect(try version() == 2)
        // A clock that is set back brings the older version back, and forward again the newer.
        clock.advance(seconds: -5)
        #expect(try version() == 1)
        clock.advance(seconds: 5)
        #expect(try version() == 2)
        try desk.configure("a") { $0.minEncryption = 2 }
        clock.advance(seconds: -5)
        #expect(try version() == 2)
        try desk.administration.disable("a", caller: desk.operatorCaller)
        #expect(desk.events.change())
        #expect(throws: EncryptionError.keyDisabled(key: "a")) { try desk.seal("a") }
        try desk.administration.enable("a", caller: desk.operatorCaller)
        #expect(desk.events.change())
        #expect(try version() == 2)
        desk.keeper.stop()
    }

    /// Between two times at which a version becomes active, the primary version is one.
    @Test func thePrimaryVersionStaysBetweenActivations() throws {
        var random = SeededRandom("thePrimaryVersionStaysBetweenActivations")
        for _ in 0..<500 {
            let versions = try (1...UInt32.random(in: 1...5, using: &random)).map { number in
                KeyVersion(
                    number: number, createdAt: 0, activeAt: .random(in: 0...20, using: &random), reserved: 0,
                    material: .mac(try SymmetricKey()))
            }
            var key = try #require(NamedKey(name: "a", kind: .mac, versions: versions))
            key.settings.minEncryption = .random(in: 0...UInt32(versions.count), using: &random)
            // All that are active, or none: it is as wide as nothing changes.
            let edges = Set(versions.map(\.activeAt))
            for now in Int64(-2)...22 {
                let stays = key.primaryStays(at: now)
                #expect(stays.contains(now))
                #expect(stays.upperBound == .max || edges.contains(stays.upperBound))
                #expect(stays.lowerBound == .min || edges.contains(stays.lowerBound))
                for time in Int64(-2)...22 where stays.contains(time) {
                    #expect(key.primary(at: time).number == key.primary(at: now).number)
                }
            }
        }
    }
}
