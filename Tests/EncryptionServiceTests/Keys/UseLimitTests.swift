import Foundation
import RPCCore
import TestSupport
import Testing

@testable import EncryptionService

@Suite struct UseLimitTests {
    @Test("SP 800-38D 8.3: no version ever seals more than its limit, through 60 crashes") func crashes() throws {
        // 2^32 in small: a version may seal 64 messages and is rotated at 48.
        let limits = UsageLimits(block: 8, rotateAt: 48, maximum: 64)
        var parts = try Parts()
        var sealed: [UInt32: Int] = [:]
        var random = SeededRandom("crashes")
        for _ in 0..<60 {
            let keeper = try parts.open(create: true, limits: limits)
            let vault = try parts.vault(keeper)
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                do {
                    let one = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
                    sealed[one.version, default: 0] += 1
                } catch {
                    // The reserve is used up and the next one not written: a NACK.
                    #expect(error as? EncryptionError == .reserveExhausted(key: "token-vault"))
                }
            }
            // A crash: what is on disk now is all that the next process sees.
            let next = try Parts()
            next.clock.advance(seconds: (parts.clock.now - next.clock.now) / 1_000_000)
            for (from, to) in [
                (parts.location.keyring, next.location.keyring), (parts.location.masterKey, next.location.masterKey),
                (parts.location.audit, next.location.audit), (parts.location.mark, next.location.mark),
            ] { try FileManager.default.copyItem(atPath: from, toPath: to) }
            keeper.stop()
            parts = next
        }
        #expect(sealed.values.allSatisfy { $0 <= 48 }, "\(sealed)")
        #expect(sealed.values.reduce(0, +) > 100, "\(sealed)")
        print("usage limits: \(sealed.values.reduce(0, +)) messages in \(sealed.count) versions, the fullest \(sealed.values.max() ?? 0)")
    }

    @Test("SP 800-38D 8.3: a key of its own low limit is rotated by use, and nothing is lost") func aLimitOfItsOwn() throws {
        let desk = try Desk()
        var settings = KeySettings()
        settings.rotateAfterUses = 10
        try desk.create("a", settings: settings)
        var versions: [UInt8: Int] = [:]
        var sealed: [[UInt8]] = []
        while sealed.count < 200 {
            do {
                let one = try desk.seal("a")
                versions[one[4], default: 0] += 1
                sealed.append(one)
            } catch EncryptionError.reserveExhausted {
                // Faster than the disk: a NACK, until more is reserved, or the next version is there.
                #expect(desk.events.advance())
            }
        }
        #expect(versions.values.allSatisfy { $0 <= 10 } && versions.count >= 20, "\(versions)")
        for one in sealed { #expect(try desk.open(one, "a") == [1, 2, 3]) }
        desk.keeper.stop()
    }

    /// A request that comes when the key was rotated already must not stretch its new version beyond the limit.
    @Test func aLateRequestReservesNothingBeyondTheLimit() throws {
        let desk = try Desk()
        var settings = KeySettings()
        settings.rotateAfterUses = 1
        try desk.create("a", settings: settings)
        desk.keeper.requestReserve(for: "a")
        desk.keeper.stop()
        #expect(desk.keeper.keyring["a"]?.versions.map(\.reserved) == [1])
    }

    /// Each start uses up what the one before it had reserved: that must be a small part of the limit.
    @Test func startsDoNotWearOutAKeyOfALowLimit() throws {
        var desk = try Desk()
        var settings = KeySettings()
        settings.rotateAfterUses = 1000
        try desk.create("a", settings: settings)
        for _ in 0..<8 { desk = try desk.restarted() }
        #expect(desk.keeper.keyring["a"]?.versions.map(\.reserved) == [9 * 62], "1/16 of 1000, when it is made and at each start")
        desk.keeper.stop()
    }

    @Test func usesAreTold() throws {
        let desk = try Desk()
        defer { desk.keeper.stop() }
        try desk.create("a")
        for _ in 0..<3 { _ = try desk.seal("a") }
        guard case .aead(_, let meter)? = desk.keeper.keyring["a"]?.versions[0].material else {
            Issue.record("no AEAD key")
            return
        }
        #expect(meter.count == 3)
    }
}
