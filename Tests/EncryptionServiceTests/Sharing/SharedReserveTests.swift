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
