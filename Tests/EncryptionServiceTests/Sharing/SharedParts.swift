import RPCCore
import SQL
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import EncryptionService

/// A keyring in a database, for several processes.
struct SharedParts {
    let directory: TemporaryDirectory
    let url: String
    let clock = TestClock()
    /// The clock that is never set.
    let uptime = TestClock()

    init(url: String? = nil) async throws {
        directory = try TemporaryDirectory()
        if let url { self.url = url } else { self.url = try await Engine.current.freshURL(directory.path("keyring.sqlite")) }
    }

    /// Each process has files of its own but for the master key.
    func location(_ name: String) -> KeyringLocation {
        KeyringLocation(
            keyring: directory.path("keyring-\(name)"), masterKey: directory.path("master.key"), database: Redacted(url))
    }

    func open(
        _ name: String, create: Bool = false, wanted: [KeySpecification] = Parts.wanted, limits: UsageLimits = .standard,
        publishLead: Int64 = Parts.publishLead, report: @escaping @Sendable (KeyringEvent) -> Void = { _ in }
    ) throws -> KeyringKeeper {
        try KeyringKeeper.open(
            location(name), wanted: wanted, mayCreate: create, maker: KeyMaker(limits: limits, publishLead: publishLead),
            sharing: Self.sharing, clock: clock.read, uptime: uptime.read, report: report)
    }

    /// Looks are as frequent as they can be; leases end when tests say so.
    static let sharing = Sharing(poll: 2_000)

    /// The store alone, as a process that says what it is told to.
    ///
    /// - Parameters:
    ///   - masterKey: The file's name: on another machine it is another one.
    ///   - url: For a way to the database that is not the usual one.
    func store(limits: UsageLimits = .standard, masterKey: String = "master.key", url: String? = nil) throws -> SQLKeyringStore {
        let masterKeys = try MasterKeys.open(
            MasterKeyInFile(path: directory.path(masterKey)), keyring: SQLKeyringStore.place, mayCreate: false)
        var maker = KeyMaker(limits: limits, publishLead: Parts.publishLead)
        maker.isShared = true
        let codec = KeyringCodec(path: SQLKeyringStore.place, masterKeys: masterKeys, maker: maker)
        return try SQLKeyringStore(try SQLKeyringStore.database(url ?? self.url), codec: codec)
    }

    /// A process whose connection to the database a test cuts.
    func keeper(
        on line: CutLine, limits: UsageLimits = .standard, report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> KeyringKeeper {
        var maker = KeyMaker(limits: limits, publishLead: Parts.publishLead)
        maker.isShared = true
        _ = try line.meet(holding: 0, forgetting: [])
        let keyring = try #require(try line.load(otherThan: .max))
        let keeper = KeyringKeeper(
            keyring, in: line, maker: maker, audit: nil, wanted: [], sharing: Self.sharing, clock: clock.read,
            uptime: uptime.read, report: report)
        try keeper.start()
        return keeper
    }

    func vault(_ keeper: KeyringKeeper) throws -> Vault {
        Vault(keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), clock: clock.read)
    }

    func authority(_ keeper: KeyringKeeper) throws -> TokenAuthority {
        TokenAuthority(
            keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), issuer: "https://lockstep.local", skew: 5,
            clock: clock.read)
    }

    /// All lines of the audit log, each checked against the one before it.
    func auditLog() throws -> [String] {
        let lines = try SQLKeyringStore.auditLines(try SQLKeyringStore.database(url), after: 0).map(\.line)
        var chain = AuditChain(after: AuditHead.none)
        for line in lines { try chain.take(line.utf8) }
        return lines
    }
}

/// A store that can be out of reach.
final class CutLine: KeyringStore {
    let isShared = true
    private let store: SQLKeyringStore
    private let isCut = Atomic(false)
    private let calls = Atomic(0)

    init(_ store: SQLKeyringStore) { self.store = store }

    /// How often something was asked of it while it was in reach.
    var attempts: Int { calls.load(ordering: .sequentiallyConsistent) }

    func cut() { isCut.store(true, ordering: .sequentiallyConsistent) }
    func mend() { isCut.store(false, ordering: .sequentiallyConsistent) }

    private func check() throws {
        if isCut.load(ordering: .sequentiallyConsistent) { throw KeyringProblem.unreachable(reason: "the line is cut") }
        calls.add(1, ordering: .sequentiallyConsistent)
    }

    func save(_ keyring: Keyring, records: [AuditRecord.Line]) throws {
        try check()
        try store.save(keyring, records: records)
    }

    func reserve(_ requests: [ReserveRequest], of keyring: Keyring) throws -> (keyring: Keyring, blocks: [ReservedBlock]) {
        try check()
        return try store.reserve(requests, of: keyring)
    }

    func load(otherThan generation: UInt64) throws -> Keyring? {
        try check()
        return try store.load(otherThan: generation)
    }

    func meet(holding generation: UInt64, forgetting gone: [Replica]) throws -> Meeting {
        try check()
        return try store.meet(holding: generation, forgetting: gone)
    }

    func followAudit(to head: AuditHead) throws {
        try check()
        try store.followAudit(to: head)
    }

    func isToBeSealedAnew() throws -> Bool {
        try check()
        return try store.isToBeSealedAnew()
    }

    var sealing: MasterKey? { store.sealing }

    func release() { store.release() }
}

/// A number that tasks share.
final class Tally: Sendable {
    private let number = Atomic(0)

    var value: Int { number.load(ordering: .sequentiallyConsistent) }

    func add() { number.add(1, ordering: .sequentiallyConsistent) }
}

/// What keeps a keyring from being opened; nil when nothing does.
func problem(_ open: () throws -> KeyringKeeper) -> KeyringProblem? {
    do {
        try open().stop()
        return nil
    } catch {
        return error as? KeyringProblem
    }
}
