import Dispatch
import FoundationEssentials
import RPCCore
import Synchronization
import TestSupport
import Testing

@testable import EncryptionService

/// A clock that tests set: microseconds since 1970.
final class TestClock: Sendable {
    private let time = Mutex<Int64>(1_800_000_000_000_000)

    var now: Int64 { time.withLock { $0 } }

    func advance(seconds: Int64) { time.withLock { $0 += seconds * 1_000_000 } }

    var read: MicrosecondClock { { [self] in now } }
}

/// A real keyring in a directory of its own.
struct Parts {
    /// How long a new signing key is published before it signs.
    static let publishLead: Int64 = 300 * 1_000_000
    static let wanted = ["token-vault:AEAD", "email-outbox:AEAD", "access-token:SIGN"].compactMap(KeySpecification.init)

    let directory: TemporaryDirectory
    var location: KeyringLocation
    let clock = TestClock()

    init() throws {
        directory = try TemporaryDirectory()
        location = KeyringLocation(keyring: directory.path("keyring"), masterKey: directory.path("master.key"))
    }

    func open(
        create: Bool = false, wanted: [KeySpecification] = Parts.wanted, limits: UsageLimits = .standard, uses: UseLog? = nil,
        report: @escaping @Sendable (KeyringEvent) -> Void = { _ in }
    ) throws -> KeyringKeeper {
        try KeyringKeeper.open(
            location, wanted: wanted, mayCreate: create, uses: uses,
            maker: KeyMaker(limits: limits, publishLead: Self.publishLead), clock: clock.read,
            report: report)
    }

    /// What opening says, after whatever was done to the files; nil when it opens.
    func problem(create: Bool = false, wanted: [KeySpecification] = Parts.wanted) -> KeyringProblem? {
        do {
            try open(create: create, wanted: wanted).stop()
            return nil
        } catch {
            return error as? KeyringProblem
        }
    }

    func vault(_ keeper: KeyringKeeper) throws -> Vault {
        Vault(keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), clock: clock.read)
    }

    func administration(_ keeper: KeyringKeeper) throws -> KeyAdministration {
        KeyAdministration(keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), clock: clock.read)
    }

    func authority(_ keeper: KeyringKeeper, skew: Int64 = 5) throws -> TokenAuthority {
        TokenAuthority(
            keeper: keeper, policy: try KeyPolicy(json: KeyPolicy.standardText), issuer: "https://lockstep.local",
            skew: skew, clock: clock.read)
    }
}

/// The identity of a service.
func service(_ name: String) throws -> PeerIdentity { try #require(PeerIdentity(service: name)) }

/// The operator, who administers keys.
func administrator() throws -> KeyAdministration.Caller {
    KeyAdministration.Caller(peer: try service("operator"), requestID: "req_1")
}

/// What the keyring thread tells, for whoever waits for it.
final class Events: Sendable {
    private let changes = DispatchSemaphore(value: 0)
    private let stops = DispatchSemaphore(value: 0)
    private let resumes = DispatchSemaphore(value: 0)
    private let failures = DispatchSemaphore(value: 0)
    private let activations = DispatchSemaphore(value: 0)
    private let seals = DispatchSemaphore(value: 0)
    private let reloads = DispatchSemaphore(value: 0)
    private let losses = DispatchSemaphore(value: 0)
    private let returns = DispatchSemaphore(value: 0)
    private let reserves = DispatchSemaphore(value: 0)
    private let uses = DispatchSemaphore(value: 0)
    private let advances = DispatchSemaphore(value: 0)
    private let all = Mutex<[String]>([])

    var report: @Sendable (KeyringEvent) -> Void {
        { [self] event in
            switch event {
            case .changed(let order, let version):
                all.withLock { $0.append("\(order.change.action) \(order.key) \(version) by \(order.actor.name)") }
                changes.signal()
                advances.signal()
            case .refused(let order, let error): all.withLock { $0.append("refused \(order.key): \(error)") }
            case .failed: failures.signal()
            case .sealedAnew: seals.signal()
            case .putBack(let generation, let written): all.withLock { $0.append("put back \(generation) of \(written)") }
            case .reserved:
                reserves.signal()
                advances.signal()
            case .usesTold: uses.signal()
            case .usesLost(let count): all.withLock { $0.append("\(count) uses lost") }
            case .memoryNotLocked: all.withLock { $0.append("memory not locked") }
            case .abandoned: break
            case .activated(let key, let version):
                all.withLock { $0.append("activated \(key) \(version)") }
                activations.signal()
            case .reloaded: reloads.signal()
            case .unreachable: losses.signal()
            case .reachable: returns.signal()
            case .administrationStopped: stops.signal()
            case .administrationResumed: resumes.signal()
            }
        }
    }

    /// `ROTATE token-vault 2 by operator`, in order.
    var told: [String] { all.withLock { $0 } }

    /// Returns once `count` more changes are durable. The time is for a machine that stands still.
    func change(_ count: Int = 1) -> Bool { (0..<count).allSatisfy { _ in changes.wait(timeout: .now() + 60) == .success } }
    func stop() -> Bool { stops.wait(timeout: .now() + 60) == .success }
    func resume() -> Bool { resumes.wait(timeout: .now() + 60) == .success }
    func activation() -> Bool { activations.wait(timeout: .now() + 60) == .success }
    func seal() -> Bool { seals.wait(timeout: .now() + 60) == .success }
    func reload() -> Bool { reloads.wait(timeout: .now() + 60) == .success }
    func loss() -> Bool { losses.wait(timeout: .now() + 60) == .success }
    func comeback() -> Bool { returns.wait(timeout: .now() + 60) == .success }
    /// One more reserve is durable.
    func reserve() -> Bool { reserves.wait(timeout: .now() + 60) == .success }
    /// One more change, or reserve.
    func advance() -> Bool { advances.wait(timeout: .now() + 60) == .success }
    /// More uses are in the audit log.
    func use() -> Bool { uses.wait(timeout: .now() + 60) == .success }
    func failure() -> Bool { failures.wait(timeout: .now() + 60) == .success }
}

/// Tests write bytes as arrays.
extension Vault {
    func encrypt(
        _ plaintext: [UInt8], key: String, context: [UInt8], version: UInt32 = 0, caller: PeerIdentity
    ) throws(EncryptionError) -> (ciphertext: [UInt8], version: UInt32) {
        let sealed = try encrypt(Data(plaintext), key: key, context: Data(context), version: version, caller: caller)
        return (Array(sealed.ciphertext), sealed.version)
    }

    func decrypt(
        _ ciphertext: [UInt8], key: String, context: [UInt8], caller: PeerIdentity
    ) throws(EncryptionError) -> [UInt8] {
        Array(try decrypt(Data(ciphertext), key: key, context: Data(context), caller: caller))
    }

    func rewrap(
        _ ciphertext: [UInt8], key: String, context: [UInt8], caller: PeerIdentity
    ) throws(EncryptionError) -> (ciphertext: [UInt8], version: UInt32) {
        let sealed = try rewrap(Data(ciphertext), key: key, context: Data(context), caller: caller)
        return (Array(sealed.ciphertext), sealed.version)
    }
}
