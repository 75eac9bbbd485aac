import Dispatch
import Foundation
import Synchronization

/// Owns the keyring: publishes it to handlers as a snapshot, and changes it on a thread of its own.
///
/// Handlers never wait for the disk. They read the snapshot, and leave requests: a rotation, a larger reserve. The
/// thread makes the change durable first and publishes it second, so what a handler sees is never lost by a crash.
package final class KeyringKeeper: Sendable {
    /// How long after a failed write the next one is tried: the first delay and the longest.
    private static let retryDelays = (first: 0.1, longest: 10.0)

    private struct Inbox {
        /// Keys to rotate, with the number that the new version will have.
        var rotations: [String: UInt32] = [:]
        /// Keys whose primary version needs a larger reserve.
        var reserves: Set<String> = []
        var phase = Phase.idle

        enum Phase {
            case idle, running, stopping
        }
    }

    private let published: Mutex<Keyring>
    private let inbox = Mutex(Inbox())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let save: @Sendable (Keyring) throws -> Void
    private let release: @Sendable () -> Void
    private let maker: KeyMaker
    private let clock: MicrosecondClock
    private let report: @Sendable (KeyringEvent) -> Void

    /// - Parameters:
    ///   - save: Makes a keyring durable; called on the keyring thread and by `start`.
    ///   - release: Lets go of the file, when the thread has ended.
    init(
        _ keyring: Keyring, maker: KeyMaker, clock: @escaping MicrosecondClock,
        report: @escaping @Sendable (KeyringEvent) -> Void, save: @escaping @Sendable (Keyring) throws -> Void,
        release: @escaping @Sendable () -> Void = {}
    ) {
        self.published = Mutex(keyring)
        self.maker = maker
        self.clock = clock
        self.report = report
        self.save = save
        self.release = release
    }

    /// Opens the keyring file, reserves what the first messages need, and starts the thread.
    ///
    /// - Throws: `KeyringProblem`, naming the file and the next step.
    package static func open(
        _ location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, maker: KeyMaker,
        clock: @escaping MicrosecondClock = systemClock, report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> KeyringKeeper {
        let (store, keyring) = try KeyringStore.open(
            location, wanted: wanted, mayCreate: mayCreate, maker: maker, now: clock())
        let keeper = KeyringKeeper(
            keyring, maker: maker, clock: clock, report: report, save: { try store.save($0) },
            release: { store.release() })
        try keeper.start()
        return keeper
    }

    /// The keyring as it is now. Immutable; a lock and a reference count, no wait.
    package var keyring: Keyring { published.withLock { $0 } }

    /// How many messages its keys may seal.
    package var limits: UsageLimits { maker.limits }

    /// Asks for a new version of a key, and says its number. A second request before the first is done is the same one.
    package func requestRotation(of name: String) throws(EncryptionError) -> UInt32 {
        // The keyring is read under the inbox's lock: a rotation that ends meanwhile cannot make the number stale.
        let number = try inbox.withLock { (inbox) throws(EncryptionError) in
            guard let key = keyring[name] else { throw .unknownKey(name) }
            guard key.versions.count < Keyring.maximumVersions else { throw .tooManyVersions(key: name) }
            let number = inbox.rotations[name] ?? key.next
            inbox.rotations[name] = number
            return number
        }
        wake.signal()
        return number
    }

    /// Asks for a larger reserve for a key's primary version.
    package func requestReserve(for name: String) {
        let isNew = inbox.withLock { $0.reserves.insert(name).inserted }
        if isNew { wake.signal() }
    }

    /// The version that a requested rotation will make, while it is not durable yet.
    package func pendingVersion(of name: String) -> UInt32? { inbox.withLock { $0.rotations[name] } }

    /// Ends the thread after one last try at what was asked for, waits for it, and lets go of the file.
    package func stop() {
        let wasRunning = inbox.withLock { inbox in
            defer { inbox.phase = .stopping }
            return inbox.phase == .running
        }
        guard wasRunning else { return }
        wake.signal()
        ended.wait()
        release()
    }

    /// Writes the first reserves, so that no message waits for them, and starts the thread.
    func start() throws {
        let names = keyring.keys.filter { $0.usage == .aead }.map(\.name)
        try apply(Inbox(reserves: Set(names)))
        inbox.withLock { $0.phase = .running }
        let thread = Thread { [self] in run() }
        thread.name = "keyring"
        thread.start()
    }
}

extension KeyringKeeper {
    private func run() {
        var delay = Self.retryDelays.first
        while true {
            wake.wait()
            let work = inbox.withLock { $0 }
            do {
                try apply(work)
                remove(work)
                if work.phase == .stopping { break }
                delay = Self.retryDelays.first
            } catch where work.phase == .stopping {
                report(.abandoned(error))
                break
            } catch {
                report(.failed(error))
                _ = wake.wait(timeout: .now() + delay)
                wake.signal()
                delay = min(delay * 2, Self.retryDelays.longest)
            }
        }
        ended.signal()
    }

    /// Takes what is done out of the inbox; what came in meanwhile stays.
    private func remove(_ done: Inbox) {
        inbox.withLock { inbox in
            for name in done.rotations.keys { inbox.rotations[name] = nil }
            inbox.reserves.subtract(done.reserves)
        }
    }

    /// Makes the next keyring durable, then publishes it, then lets its keys be used.
    private func apply(_ work: Inbox) throws {
        let (now, previous) = (clock(), keyring)
        let changed = try previous.keys.compactMap { try self.changed($0, work, now: now) }
        guard !changed.isEmpty else { return }
        let next = previous.changed { byName in for key in changed { byName[key.name] = key } }
        try save(next)
        published.withLock { $0 = next }
        for version in changed.flatMap(\.versions) {
            if case .aead(_, let meter) = version.material { meter.allow(upTo: version.reserved) }
        }
        for key in changed where key.next > (previous[key.name]?.next ?? 0) {
            report(.rotated(key: key.name, version: key.next - 1))
        }
    }

    /// The key with what was asked for; nil when that changes nothing.
    private func changed(_ key: NamedKey, _ work: Inbox, now: Int64) throws -> NamedKey? {
        var changed = key
        let isReserve = work.reserves.contains(key.name)
        let isWorn = isReserve && key.primary(at: now).reserved >= limits.rotateAt
        let isRotation = work.rotations[key.name] != nil || isWorn && key.versions.count < Keyring.maximumVersions
        guard isRotation || isReserve else { return nil }
        if isRotation { changed.append(try maker.next(of: key, now: now)) }
        guard key.usage == .aead else { return changed }
        let primary = changed.primary(at: now)
        let reserved = min(primary.reserved + limits.block, limits.maximum)
        changed.reserve(primary.number, upTo: reserved)
        return isRotation || reserved != primary.reserved ? changed : nil
    }
}

/// What the keyring thread has to tell the log. Never a secret.
package enum KeyringEvent: Sendable {
    /// A new version is durable.
    case rotated(key: String, version: UInt32)
    /// A write failed and is tried again.
    case failed(any Error)
    /// The last write before the end failed: what was asked for is not done.
    case abandoned(any Error)
}

/// Microseconds since 1970.
package typealias MicrosecondClock = @Sendable () -> Int64

/// The system's time of day.
package let systemClock: MicrosecondClock = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}
