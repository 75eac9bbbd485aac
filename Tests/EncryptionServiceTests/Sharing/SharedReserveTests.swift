import TestSupport
import Testing

@testable import EncryptionService

/// Messages of keys that are soon rotated by use, and processes that have none left.
@Suite(.everyEngine) struct SharedReserveTests {
    private static let policy = #"{"token": {"small": ["ENCRYPT", "DECRYPT"]}}"#

    private func create(_ keeper: KeyringKeeper, uses: UInt64) async throws {
        var settings = KeySettings()
        settings.rotateAfterUses = uses
        try keeper.request(.create(.aead, KeyOptions(), settings), of: "small", by: KeyActor(name: "operator"))
    }

    /// The maker's first block is all that the key may seal before it is rotated. The other process has one of its own.
    @Test("without traffic no version is made", arguments: [10, 1 << 18]) func aKeyOfALowLimitRests(uses: Int) async throws {
        let parts = try await SharedParts()
        let (a, b) = (try parts.open("a", create: true), try parts.open("b"))
        defer { for keeper in [a, b] { keeper.stop() } }
        try await create(a, uses: UInt64(uses))
        for keeper in [a, b] { try await until { keeper.keyring["small"]?.isAwaited == false } }
        // Both look a hundred times more.
        let watcher = try parts.store()
        func beats() throws -> [Int64] { try watcher.meet(holding: a.keyring.generation, forgetting: []).others.map(\.beat) }
        let before = try beats()
        try #require(before.count == 2)
        try await until { try zip(beats(), before).allSatisfy { $0 > $1 + 100 } }
        watcher.release()
        #expect(a.keyring["small"]?.versions.count == 1 && b.keyring["small"]?.versions.count == 1)
        for keeper in [a, b] {
            let vault = Vault(keeper: keeper, policy: try KeyPolicy(json: Self.policy), clock: parts.clock.read)
            #expect(try vault.encrypt([1], key: "small", context: [], caller: service("token")).version == 1)
        }
    }

    /// 2^32 in small, which two processes reach together: each block is part of one count.
    @Test("SP 800-38D 8.3: processes that share a key seal no more under a version than its limit, together")
    func theLimitIsOneForAll() async throws {
        let limits = UsageLimits(block: 8, rotateAt: 48, maximum: 64)
        let parts = try await SharedParts()
        let keepers = [try parts.open("a", create: true, limits: limits), try parts.open("b", limits: limits)]
        defer { for keeper in keepers { keeper.stop() } }
        let sealed = try await withThrowingTaskGroup(of: Int.self) { group in
            for keeper in keepers {
                group.addTask {
                    let (vault, caller) = (try parts.vault(keeper), try service("token"))
                    var count = 0
                    while true {
                        do throws(EncryptionError) {
                            // By its number, so that it goes on when the next one is there.
                            _ = try vault.encrypt([1], key: "token-vault", context: [], version: 1, caller: caller)
                            count += 1
                        } catch {
                            if error == .keyExhausted(key: "token-vault") { return count }
                            try #require(error == .reserveExhausted(key: "token-vault"))
                            await Task.yield()
                        }
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sealed <= 64 && sealed > 48, "\(sealed)")
        let versions = try #require(try parts.store(limits: limits).load(otherThan: .max)?["token-vault"]?.versions)
        #expect(versions[0].reserved == 64 && versions.count >= 2)
    }

    /// Half of a block: neither earlier, nor only when nothing is left.
    @Test func aBlockIsRefilledAtHalf() async throws {
        let limits = UsageLimits(block: 16, rotateAt: 1 << 31, maximum: 1 << 32)
        let parts = try await SharedParts()
        try parts.open("a", create: true, limits: limits).stop()
        let line = CutLine(try parts.store(limits: limits))
        let events = Events()
        let keeper = try parts.keeper(on: line, limits: limits, report: events.report)
        defer { keeper.stop() }
        #expect(events.reserve())
        let (vault, caller) = (try parts.vault(keeper), try service("token"))
        func seal() throws { _ = try vault.encrypt([1], key: "token-vault", context: [], caller: caller) }
        for _ in 0..<7 { try seal() }
        let before = line.attempts
        try await until { line.attempts > before + 6 }
        #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 32, "the first process's block and its own")
        try seal()
        #expect(events.reserve())
        #expect(keeper.keyring["token-vault"]?.versions[0].reserved == 48)
        // Nobody was refused, and nobody is before these are used up, too.
        for _ in 0..<8 { try seal() }
    }

    /// While the next version waits for a process that is gone, the present one goes on.
    @Test func aVersionThatIsAwaitedStopsNobody() async throws {
        let parts = try await SharedParts()
        let events = Events()
        let a = try parts.open("a", create: true, report: events.report)
        defer { a.stop() }
        try await create(a, uses: 10)
        try await until { a.keyring["small"]?.isAwaited == false }
        let dead = try parts.store()
        defer { dead.release() }
        _ = try dead.meet(holding: a.keyring.generation, forgetting: [])
        let vault = Vault(keeper: a, policy: try KeyPolicy(json: Self.policy), clock: parts.clock.read)
        let token = try service("token")
        var versions: Set<UInt32> = []
        for _ in 0..<100 {
            while true {
                do {
                    versions.insert(try vault.encrypt([1], key: "small", context: [], caller: token).version)
                    break
                } catch {
                    try #require(error == .reserveExhausted(key: "small"))
                    try #require(events.reserve(), "there is no more")
                }
            }
        }
        #expect(versions == [1])
        #expect(a.keyring["small"]?.isAwaited == true && a.keyring["small"]?.versions.count == 2)
    }
}
