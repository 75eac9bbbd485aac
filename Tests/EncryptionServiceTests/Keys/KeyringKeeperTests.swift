import Dispatch
import Foundation
import RPCCore
import Synchronization
import Testing

@testable import EncryptionService

@Suite struct KeyringKeeperTests {
    @Test func aRotationIsDurableBeforeItIsUsed() throws {
        let parts = try Parts()
        let keeper = try parts.open(create: true)
        #expect(try keeper.requestRotation(of: "token-vault") == 2)
        keeper.stop()
        #expect(keeper.keyring["token-vault"]?.primary(at: parts.clock.now).number == 2)
        #expect(keeper.pendingVersion(of: "token-vault") == nil)
    }

    @Test func aRotationOutlivesTheProcess() throws {
        let parts = try Parts()
        do {
            let keeper = try parts.open(create: true)
            _ = try keeper.requestRotation(of: "token-vault")
            keeper.stop()
        }
        let again = try parts.open()
        defer { again.stop() }
        #expect(again.keyring["token-vault"]?.versions.map(\.number) == [1, 2])
        #expect(again.keyring["email-outbox"]?.versions.map(\.number) == [1])
    }

    @Test func anUnknownKey() throws {
        let keeper = try Parts().open(create: true)
        defer { keeper.stop() }
        #expect(throws: EncryptionError.unknownKey("nothing")) { try keeper.requestRotation(of: "nothing") }
    }

    /// A keeper whose disk is the closure.
    private func keeper(
        limits: UsageLimits = .standard, save: @escaping @Sendable (Keyring) throws -> Void
    ) throws -> KeyringKeeper {
        let clock = TestClock()
        let maker = KeyMaker(limits: limits, publishLead: 0)
        let keys = try Parts.wanted.compactMap { try maker.first($0, now: clock.now) }
        return KeyringKeeper(
            Keyring(generation: 0, keys: keys), maker: maker, clock: clock.read, report: { _ in },
            save: save)
    }

    private struct DiskFull: Error {}

    /// While the disk does not take it, the rotation is pending: nothing uses the new version.
    @Test func aDiskThatIsFull() throws {
        let isFull = Atomic(false)
        let (failed, saved) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let keeper = try keeper { _ in
            if isFull.load(ordering: .acquiring) {
                failed.signal()
                throw DiskFull()
            }
            saved.signal()
        }
        try keeper.start()
        saved.wait()
        isFull.store(true, ordering: .releasing)
        #expect(try keeper.requestRotation(of: "token-vault") == 2)
        failed.wait()
        #expect(keeper.keyring["token-vault"]?.versions.count == 1)
        #expect(keeper.pendingVersion(of: "token-vault") == 2)
        #expect(try keeper.requestRotation(of: "token-vault") == 2)
        isFull.store(false, ordering: .releasing)
        saved.wait()
        keeper.stop()
        #expect(keeper.keyring["token-vault"]?.versions.count == 2)
        #expect(keeper.pendingVersion(of: "token-vault") == nil)
    }

    /// What is asked for meanwhile does not end the pause between two tries.
    @Test func aDiskThatIsFullIsLeftAlone() throws {
        let tries = Atomic(0)
        let isFull = Atomic(false)
        let keeper = try keeper(limits: UsageLimits(block: 10, rotateAt: 1000, maximum: 2000)) { _ in
            guard isFull.load(ordering: .acquiring) else { return }
            tries.add(1, ordering: .relaxed)
            throw DiskFull()
        }
        try keeper.start()
        isFull.store(true, ordering: .releasing)
        let start = ContinuousClock.now
        repeat {
            for name in ["token-vault", "email-outbox"] { keeper.requestReserve(for: name) }
        } while ContinuousClock.now - start < .milliseconds(400)
        let most = 3 + Int((ContinuousClock.now - start) / .milliseconds(100))
        #expect(tries.load(ordering: .relaxed) <= most)
        keeper.stop()
    }

    /// A reserve that is asked for while another is written is not forgotten.
    @Test func aReserveAskedForMeanwhile() throws {
        let slot = Mutex<KeyringKeeper?>(nil)
        let writes = Atomic(0)
        let saved = DispatchSemaphore(value: 0)
        let limits = UsageLimits(block: 10, rotateAt: 1000, maximum: 2000)
        let keeper = try keeper(limits: limits) { _ in
            // The second write is of the first request: in it comes the next one.
            if writes.add(1, ordering: .acquiringAndReleasing).newValue == 2 {
                slot.withLock { $0 }?.requestReserve(for: "token-vault")
            }
            saved.signal()
        }
        slot.withLock { $0 = keeper }
        try keeper.start()
        keeper.requestReserve(for: "token-vault")
        for _ in 0..<3 { #expect(saved.wait(timeout: .now() + 60) == .success) }
        keeper.stop()
        slot.withLock { $0 = nil }
        #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 30)
    }

    @Test func aStartWithoutADisk() throws {
        let keeper = try keeper { _ in throw DiskFull() }
        #expect(throws: DiskFull.self) { try keeper.start() }
    }

    @Test func stoppingTwice() throws {
        let keeper = try keeper { _ in }
        try keeper.start()
        keeper.stop()
        keeper.stop()
    }
}

@Suite struct UsageMeterTests {
    @Test func theReserveIsABound() {
        let meter = UsageMeter(used: 10)
        #expect(meter.claim(1) == (0, true))
        meter.allow(upTo: 15, low: 2)
        let answers = (0..<6).map { _ in meter.claim(1) }
        #expect(answers.map(\.granted) == [1, 1, 1, 1, 1, 0])
        #expect(answers.map(\.isLow) == [false, false, true, true, true, true])
        meter.allow(upTo: 20, low: 2)
        #expect(meter.claim(1) == (1, false))
    }

    @Test func aClaimIsAsMuchAsThereIs() {
        let meter = UsageMeter(used: 0)
        #expect(meter.claim(3) == (0, true))
        meter.allow(upTo: 10, low: 2)
        #expect(meter.claim(4) == (4, false))
        #expect(meter.claim(4) == (4, true))
        // Low: nobody keeps more than the next message takes.
        #expect(meter.claim(4) == (1, true))
        #expect(meter.claim(4) == (1, true))
        #expect(meter.claim(4) == (0, true))
        meter.giveBack(3)
        #expect(meter.count == 7)
        #expect(meter.claim(64) == (3, true))
    }

    /// However many claim at once, no more is granted than was reserved, and all that is given back is there again.
    @Test func claimsOfManyThreadsStayWithinTheReserve() async {
        let meter = UsageMeter(used: 0)
        meter.allow(upTo: 10_000, low: 0)
        let granted = await withTaskGroup(of: Int.self) { group in
            for size in 1...8 {
                group.addTask {
                    var kept = 0
                    for turn in 0..<2000 {
                        let claimed = meter.claim(size * 8).granted
                        let unused = turn % 2 == 0 ? claimed : claimed / 2
                        meter.giveBack(unused)
                        kept += claimed - unused
                    }
                    return kept
                }
            }
            return await group.reduce(0, +)
        }
        #expect(granted + meter.claim(10_000).granted == 10_000)
    }

    /// A batch claims for several items at once, and what did not come to be sealed is there for others.
    @Test func whatABatchDidNotSealIsGivenBack() throws {
        let limits = UsageLimits(block: 1000, rotateAt: 10_000, maximum: 20_000)
        let parts = try Parts()
        let keeper = try parts.open(create: true, limits: limits)
        defer { keeper.stop() }
        let vault = try parts.vault(keeper)
        guard case .aead(_, let meter)? = keeper.key("token-vault")?.versions[0].material else {
            Issue.record("no such key")
            return
        }
        let sealer = try vault.sealer("token-vault", .encrypt, version: 0, caller: service("token"), items: 64)
        try withExtendedLifetime(consume sealer) { sealer in
            _ = try sealer.seal(Data([1]), context: Data())
            _ = try sealer.seal(Data([2]), context: Data())
            #expect(meter.count == 64)
        }
        #expect(meter.count == 2)
    }

    /// Every message is counted against a reserve that is on disk; a crash uses up the whole reserve.
    @Test func theReserveIsWrittenFirst() throws {
        let limits = UsageLimits(block: 10, rotateAt: 1000, maximum: 2000)
        let parts = try Parts()
        do {
            let keeper = try parts.open(create: true, limits: limits)
            #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 10)
            keeper.stop()
        }
        let again = try parts.open(limits: limits)
        defer { again.stop() }
        #expect(again.keyring["token-vault"]?.versions[0].reserved == 20)
        let vault = try parts.vault(again)
        for _ in 0..<5 { _ = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")) }
        again.stop()
        #expect(again.keyring["token-vault"]?.versions[0].reserved == 30)
    }

    /// A backup counts from its own time; the file beside it does not.
    @Test("SP 800-38D 8.3: a keyring that was put back does not seal again what its keys have sealed")
    func aBackupThatWasPutBack() throws {
        let limits = UsageLimits(block: 10, rotateAt: 1000, maximum: 2000)
        let parts = try Parts()
        try parts.open(create: true, limits: limits).stop()
        let backup = try Data(contentsOf: URL(filePath: parts.location.keyring))
        let log = try Data(contentsOf: URL(filePath: parts.location.audit))
        for _ in 0..<5 { try parts.open(limits: limits).stop() }
        let events = Events()
        for path in [parts.location.keyring, parts.location.audit] {
            let bytes = path == parts.location.audit ? log : backup
            try PrivateFile.replace(path, Array(bytes))
        }
        let keeper = try parts.open(limits: limits, report: events.report)
        defer { keeper.stop() }
        #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 70, "six starts before it, and its own")
        #expect(events.told == ["put back 2 of 7"])
        // A start that nobody has put anything back for says nothing.
        keeper.stop()
        let again = Events()
        try parts.open(limits: limits, report: again.report).stop()
        #expect(again.told.isEmpty)
        // Damaged, it is no reason to count from anywhere.
        try PrivateFile.replace(parts.location.reserves, [1, 2, 3])
        guard case .corrupt(let path, _)? = parts.problem() else {
            Issue.record("it was taken")
            return
        }
        #expect(path == parts.location.reserves)
    }

    @Test func aWornKeyIsRotatedByItself() throws {
        let limits = UsageLimits(block: 10, rotateAt: 10, maximum: 20)
        let parts = try Parts()
        let keeper = try parts.open(create: true, limits: limits)
        let vault = try parts.vault(keeper)
        for _ in 0..<5 { _ = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")) }
        keeper.stop()
        #expect(keeper.keyring["token-vault"]?.versions.map(\.reserved) == [10, 10])
        let sealed = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
        #expect(sealed.version == 2)
    }

    /// After a restart an older version has nothing reserved: who asks to seal with it is refused once, and its reserve comes,
    /// not another one of the primary version.
    @Test func anOlderVersionHasAReserveOfItsOwn() throws {
        let limits = UsageLimits(block: 10, rotateAt: 1000, maximum: 2000)
        let parts = try Parts()
        do {
            let keeper = try parts.open(create: true, limits: limits)
            _ = try keeper.requestRotation(of: "token-vault")
            keeper.stop()
        }
        let events = Events()
        let keeper = try parts.open(limits: limits, report: events.report)
        defer { keeper.stop() }
        #expect(events.reserve())
        #expect(keeper.keyring["token-vault"]?.versions.map(\.reserved) == [10, 20])
        let vault = try parts.vault(keeper)
        func seal() throws -> UInt32 {
            try vault.encrypt([1], key: "token-vault", context: [], version: 1, caller: service("token")).version
        }
        #expect(throws: EncryptionError.reserveExhausted(key: "token-vault")) { try seal() }
        #expect(events.reserve())
        #expect(keeper.keyring["token-vault"]?.versions.map(\.reserved) == [20, 20])
        for _ in 0..<4 { #expect(try seal() == 1) }
    }

    /// An older version is not followed by another one: it seals up to the bound of all.
    @Test func anOlderVersionThatIsWornOut() throws {
        let limits = UsageLimits(block: 10, rotateAt: 20, maximum: 30)
        let parts = try Parts()
        let events = Events()
        let keeper = try parts.open(create: true, limits: limits, report: events.report)
        defer { keeper.stop() }
        _ = try keeper.requestRotation(of: "token-vault")
        #expect(events.change())
        let vault = try parts.vault(keeper)
        func seal() throws { _ = try vault.encrypt([1], key: "token-vault", context: [], version: 1, caller: service("token")) }
        var sealed = 0
        while sealed < 30 {
            do {
                try seal()
                sealed += 1
            } catch EncryptionError.reserveExhausted {
                try #require(events.reserve())
            }
        }
        #expect(throws: EncryptionError.keyExhausted(key: "token-vault")) { try seal() }
        #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 30)
    }

    /// With the thread gone no reserve comes: the key stops at what is on disk.
    @Test func noReserveNoMessage() throws {
        let limits = UsageLimits(block: 4, rotateAt: 1000, maximum: 2000)
        let parts = try Parts()
        let keeper = try parts.open(create: true, limits: limits)
        keeper.stop()
        let vault = try parts.vault(keeper)
        for _ in 0..<4 { _ = try vault.encrypt([1], key: "token-vault", context: [], caller: service("token")) }
        #expect(throws: EncryptionError.reserveExhausted(key: "token-vault")) {
            try vault.encrypt([1], key: "token-vault", context: [], caller: service("token"))
        }
    }
}
