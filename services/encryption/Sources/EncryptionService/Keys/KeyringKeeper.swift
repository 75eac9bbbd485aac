import Dispatch
import Foundation
import LibCrypto
import Synchronization

/// Owns the keyring: publishes it to handlers as a snapshot, and changes it on a thread of its own.
///
/// Handlers never wait for the disk. They read the snapshot, and leave requests: a change of a key, a larger reserve. The
/// thread writes the audit log first, makes the keyring durable second and publishes it third, so what a handler sees is
/// never lost by a crash, and nothing is done to a key that the log does not tell of.
///
/// Where other processes share the keyring, the thread looks at the store once a poll: it says that it lives, takes over what
/// others changed, and lets a new version be used when every process that lives has it (`ReplicaWatch`).
package final class KeyringKeeper: Sendable {
    /// How long after a failed write the next one is tried: the first delay and the longest.
    private static let retryDelays = (first: 0.1, longest: 10.0)
    /// The same for a database, which comes back sooner than room on a disk.
    private static let longestUnreachableDelay = 2.0
    /// The clock may be set: what is due is looked for this often, in seconds.
    private static let longestSleep = 60.0
    /// The same where there is a master key's file to look at.
    private static let masterKeyPause = 5.0

    struct Inbox {
        /// Changes by key, one at a time for each, with their places in the order of arrival.
        var orders: [String: (order: KeyOrder, place: Int)] = [:]
        var nextPlace = 0
        /// Versions of keys that need a larger reserve.
        var reserves: Set<ReserveOrder> = []
        var wantsWrappingKey = false
        var wantsReload = false
        var phase = Phase.idle

        enum Phase {
            case idle, running, stopping
        }

        var ordered: [KeyOrder] { orders.values.sorted { $0.place < $1.place }.map(\.order) }
    }

    /// A key's version that needs a larger reserve; nil for the primary one.
    struct ReserveOrder: Hashable {
        let key: String
        let version: UInt32?
    }

    /// What handlers see.
    struct Snapshot {
        var keyring: Keyring { didSet { sealing = [:] } }
        /// What seals with keys' primary versions, from when it is first asked for until the next keyring.
        var sealing: [String: MessageKey] = [:]
        /// Whether keys are not administered, since the audit log cannot be written.
        var isStopped = false
        var permits: [Permit] = []
        var wrapping: (key: WrappingKey, expiresAt: Int64)?
        /// Whether the store that others share did not answer when it was last asked.
        var isUnreachable = false
        /// The beginning of the last meeting in which this was the newest keyring, on the clock that is never set. Nil when
        /// nobody shares it.
        var current: Int64?
    }

    struct Permit {
        let key: String
        let version: UInt32
        let caller: String
        let expiresAt: Int64
    }

    /// What the audit log holds already of changes that are not durable yet. Used by whoever writes the keyring.
    struct Audited {
        var head: AuditHead?
        /// With the numbers of their records.
        var entries: [AuditEntry: UInt64] = [:]

        /// The numbers of records that tell of changes of keys, in order.
        var changes: [UInt64] { entries.filter(\.key.isChange).map(\.value).sorted() }

        mutating func settle(_ done: [AuditEntry]) {
            for entry in done { entries[entry] = nil }
        }
    }

    let published: Mutex<Snapshot>
    let inbox = Mutex(Inbox())
    let audited = Mutex(Audited())
    let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    let store: any KeyringStore
    let watch: Mutex<ReplicaWatch>
    let sharing: Sharing
    let uptime: MicrosecondClock
    let maker: KeyMaker
    let audit: AuditLog?
    let uses: UseLog?
    /// How many uses the log tells of that the sealed keyring does not know of. Used by the keyring thread.
    private let unsealedUses = Atomic(0)
    /// After so many the keyring is sealed anew, so that they cannot be cut off without it being noticed.
    private static let unsealedUsesLimit = 8192
    /// And after so long, in microseconds, however few they are.
    private static let sealInterval: Int64 = 60_000_000
    /// When the sealed keyring last knew the log's end. Used by the keyring thread.
    private let sealedAt = Atomic<Int64>(0)
    /// Whether there is a keyring that this process could not take over when it last tried. Used by the keyring thread.
    let isBehind = Atomic(false)
    /// The master keys that the audit log knows of.
    let masterKeys = Mutex<String?>(nil)
    let wanted: Set<String>
    let clock: MicrosecondClock
    let report: @Sendable (KeyringEvent) -> Void

    /// - Parameters:
    ///   - audit: Where administration is told of; nil for none.
    ///   - uses: Where handlers leave word of uses of keys, for the audit log; nil for nowhere.
    ///   - wanted: Keys that configuration says must exist: they are not destroyed.
    ///   - save: Makes a keyring durable; called on the keyring thread and by `start`.
    ///   - release: Lets go of the file, when the thread has ended.
    convenience init(
        _ keyring: Keyring, maker: KeyMaker, audit: AuditLog? = nil, uses: UseLog? = nil, wanted: Set<String> = [],
        clock: @escaping MicrosecondClock, report: @escaping @Sendable (KeyringEvent) -> Void,
        save: @escaping @Sendable (Keyring) throws -> Void, release: @escaping @Sendable () -> Void = {}
    ) {
        self.init(
            keyring, in: SavingStore(write: save, letGo: release), maker: maker, audit: audit, uses: uses, wanted: wanted,
            clock: clock, report: report)
    }

    /// - Parameter audit: Nil for a store that keeps the log itself.
    init(
        _ keyring: Keyring, in store: any KeyringStore, maker: KeyMaker, audit: AuditLog?, uses: UseLog? = nil, wanted: Set<String>,
        sharing: Sharing = Sharing(), clock: @escaping MicrosecondClock, uptime: @escaping MicrosecondClock = systemUptime,
        report: @escaping @Sendable (KeyringEvent) -> Void
    ) {
        self.store = store
        self.sharing = sharing
        self.uptime = uptime
        watch = Mutex(ReplicaWatch(lease: sharing.lease))
        self.published = Mutex(Snapshot(keyring: keyring))
        self.maker = maker
        self.audit = audit
        self.uses = uses
        self.wanted = wanted
        self.clock = clock
        self.report = report
    }

    /// Opens the keyring, in its file or in its database, reserves what the first messages need, and starts the thread.
    ///
    /// - Parameter auditsUses: Whether the audit log tells of uses of keys too.
    /// - Throws: `KeyringProblem`, naming the file and the next step.
    package static func open(
        _ location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, auditsUses: Bool = false, maker: KeyMaker,
        sharing: Sharing = Sharing(), clock: @escaping MicrosecondClock = systemClock,
        uptime: @escaping MicrosecondClock = systemUptime, report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> KeyringKeeper {
        try open(
            location, wanted: wanted, mayCreate: mayCreate, uses: auditsUses ? UseLog() : nil, maker: maker, sharing: sharing,
            clock: clock, uptime: uptime, report: report)
    }

    static func open(
        _ location: KeyringLocation, wanted: [KeySpecification], mayCreate: Bool, uses: UseLog?, maker: KeyMaker,
        sharing: Sharing = Sharing(), clock: @escaping MicrosecondClock, uptime: @escaping MicrosecondClock = systemUptime,
        report: @escaping @Sendable (KeyringEvent) -> Void
    ) throws -> KeyringKeeper {
        if location.database != nil {
            // Each process's uses in one chain of all would have them wait for one another.
            guard uses == nil else { throw KeyringProblem.usesNotShared }
            let opening = SharedKeyringOpening(
                location: location, wanted: wanted, mayCreate: mayCreate, maker: maker, lease: sharing.lease, now: clock())
            let (store, keyring) = try opening.open()
            let keeper = KeyringKeeper(
                keyring, in: store, maker: opening.maker, audit: nil, wanted: Set(wanted.map(\.name)), sharing: sharing,
                clock: clock, uptime: uptime, report: report)
            do {
                try keeper.start()
            } catch {
                store.release()
                throw error
            }
            return keeper
        }
        let audit = AuditLog(path: location.audit, beginsAfter: location.auditBeginsAfter, clock: clock)
        let (store, keyring) = try FileKeyringStore.open(
            location, wanted: wanted, mayCreate: mayCreate, maker: maker, audit: audit, now: clock())
        let keeper = KeyringKeeper(
            keyring, in: store, maker: maker, audit: audit, uses: uses, wanted: Set(wanted.map(\.name)), clock: clock,
            uptime: uptime, report: report)
        if let (generation, written) = store.putBack { report(.putBack(generation: generation, written: written)) }
        try keeper.start()
        return keeper
    }

    /// The keyring as it is now. Immutable; a lock and a reference count, no wait.
    package var keyring: Keyring { published.withLock { $0.keyring } }

    /// One key of it.
    package func key(_ name: String) -> NamedKey? { published.withLock { $0.keyring[name] } }

    /// What seals with a key's primary version; nil for a key that is not there.
    ///
    /// Looked up and checked once for each keyring, not once for each message: loops that copy the parts of one key at once
    /// wait for each other's reference counts.
    ///
    /// - Throws: what keeps the key from being used.
    func sealing(_ name: String, at now: Int64) throws(EncryptionError) -> MessageKey? {
        try published.withLock { snapshot throws(EncryptionError) in
            if let found = snapshot.sealing[name], found.validity.contains(now) { return found }
            guard let key = try snapshot.keyring[name]?.usable() else { return nil }
            let made = try MessageKey(sealing: key, key.primary(at: now), validity: key.primaryStays(at: now), limits: limits)
            snapshot.sealing[name] = made
            return made
        }
    }

    /// How many messages its keys may seal.
    package var limits: UsageLimits { maker.limits }

    /// Ends the thread after one last try at what was asked for, waits for it, and lets go of the file.
    package func stop() {
        let wasRunning = inbox.withLock { inbox in
            defer { inbox.phase = .stopping }
            return inbox.phase == .running
        }
        guard wasRunning else { return }
        wake.signal()
        ended.wait()
        if let lost = uses?.take().calls, lost > 0 { report(.usesLost(lost)) }
        audit?.close()
        store.release()
    }

    /// Has the thread look at what is due, as it does by itself when the time has come.
    package func look() { wake.signal() }

    /// Has the thread read the store anew: somebody may have put another keyring there.
    package func reload() {
        inbox.withLock { $0.wantsReload = true }
        wake.signal()
    }

    /// Settles the audit log, makes what is due, writes the first reserves, so that no message waits for them, and starts
    /// the thread. An audit log that does not work stops administration and not the start.
    func start() throws {
        let reserves = Set(keyring.keys.filter { $0.usage == .aead }.map { ReserveOrder(key: $0.name, version: nil) })
        masterKeys.withLock { $0 = store.masterKeys }
        do {
            try gather()
            try settleAudit()
            // Where others share it, `gather` has done so before it said that this process has the keyring.
            if let failure = try step(Inbox(reserves: store.isShared ? [] : reserves)) { throw failure }
        } catch where published.withLock({ $0.isStopped }) {
            if !store.isShared { try reserve(reserves, isRotating: false) }
            report(.failed(error))
            wake.signal()
        }
        for order in keyring.keys.compactMap(withheld) { report(.refused(order, .keyInUse(order.key))) }
        inbox.withLock { $0.phase = .running }
        let thread = Thread { [self] in run() }
        thread.name = "keyring"
        thread.start()
    }
}

// MARK: The thread
extension KeyringKeeper {
    private func run() {
        var delay = Self.retryDelays.first
        // When that is tried again which failed and can wait. Reserves cannot: until then they alone are written.
        var retry: DispatchTime?
        while true {
            sleep(until: retry)
            // Reserves are taken out before they are written: what is asked for meanwhile is a request of its own.
            let work = inbox.withLock { inbox in
                defer { (inbox.reserves, inbox.wantsReload) = ([], false) }
                return inbox
            }
            do {
                try keepUp(work)
                let isEarly = work.phase != .stopping && retry.map { DispatchTime.now() < $0 } ?? false
                let failure = try step(work, isEarly: isEarly)
                if isEarly { continue }
                retry = nil
                if let failure {
                    guard work.phase != .stopping else { throw failure }
                    report(.failed(failure))
                    retry = .now() + delay
                    delay = min(delay * 2, longestDelay)
                } else {
                    delay = Self.retryDelays.first
                }
                if work.phase == .stopping { break }
            } catch where work.phase == .stopping {
                report(.abandoned(error))
                break
            } catch {
                // Told once, when it began.
                if !published.withLock({ $0.isUnreachable }) { report(.failed(error)) }
                pause(delay)
                retry = nil
                delay = min(delay * 2, longestDelay)
            }
        }
        ended.signal()
    }

    private var longestDelay: Double { store.isShared ? Self.longestUnreachableDelay : Self.retryDelays.longest }

    /// Between two tries. What is asked for meanwhile waits: under load it would be no pause.
    private func pause(_ seconds: Double) {
        let end = DispatchTime.now() + seconds
        repeat {
            if inbox.withLock({ $0.phase }) == .stopping { break }
        } while wake.wait(timeout: end) == .success
        wake.signal()
    }

    /// Until something is asked for, or due.
    ///
    /// - Parameter retry: Nil unless something failed, and nothing of what is due is done before.
    private func sleep(until retry: DispatchTime?) {
        let due = keyring.keys.compactMap { key -> Int64? in
            if case .pendingDestruction(let time) = key.state { return wanted.contains(key.name) ? nil : time }
            return key.isDue(publishLead: maker.publishLead)
        }
        let pause = store.isShared ? Double(sharing.poll) / 1_000_000 : store.sealing == nil ? Self.longestSleep : Self.masterKeyPause
        let longest = uses == nil ? pause : min(pause, UseLog.interval)
        if let retry {
            _ = wake.wait(timeout: min(retry, .now() + pause))
            return
        }
        let isWatching = store.sealing != nil || uses != nil
        guard let due = due.min() ?? (isWatching ? .max : nil) else { return wake.wait() }
        let seconds = Double(max(0, due.subtractingReportingOverflow(clock()).partialValue)) / 1_000_000
        _ = wake.wait(timeout: .now() + min(seconds, longest))
    }

    /// Administration may fail without keeping reserves from being written.
    ///
    /// - Parameter isEarly: Whether reserves alone are written, since the rest has just failed.
    /// - Returns: What kept something else than reserves from being done.
    /// - Throws: What kept reserves from being written.
    private func step(_ work: Inbox, isEarly: Bool = false) throws -> (any Error)? {
        var (failure, rotated): ((any Error)?, Set<String>) = (nil, [])
        var obstacle: (any Error)?
        // A log that does not work is looked at again before anything is told of, which takes long where it is long: messages do
        // not wait for that.
        let wasStopped = published.withLock { $0.isStopped }
        if !wasStopped, !isEarly {
            do { rotated = try unlessSuperseded { try administer(work) } } catch { failure = error }
        }
        do {
            // A key that was changed has a version with a reserve of its own, or is no more.
            let reserves = work.reserves.filter { !rotated.contains($0.key) && isStillWanted($0) }
            try unlessSuperseded { try reserve(reserves, isRotating: failure == nil && !wasStopped && !isEarly) }
        } catch {
            inbox.withLock { $0.reserves.formUnion(work.reserves) }
            obstacle = error
        }
        if work.wantsWrappingKey {
            do { try makeWrappingKey() } catch { failure = failure ?? error }
        }
        guard !isEarly else {
            if let obstacle { throw obstacle }
            return nil
        }
        if wasStopped {
            do { _ = try unlessSuperseded { try administer(work) } } catch { failure = failure ?? error }
        }
        if failure == nil, obstacle == nil {
            do { try unlessSuperseded { try activate() } } catch { failure = error }
        }
        do {
            // Where it was just found not to work, looking at it a second time would tell nothing else.
            if failure == nil || !published.withLock({ $0.isStopped }) { try tellOfUses() }
            if failure == nil, obstacle == nil { try sealHead(isLast: work.phase == .stopping) }
        } catch {
            failure = failure ?? error
        }
        if let obstacle { throw obstacle }
        return failure
    }

    /// Writes the uses that handlers left word of. While that fails they wait, up to `UseLog`'s bound.
    private func tellOfUses() throws {
        guard let audit, let uses else { return }
        let batch = uses.take()
        if !batch.isEmpty {
            let entries = batch.entries
            do {
                let head = try audit.append(entries, known: audited.withLock { $0.head } ?? keyring.audit)
                audited.withLock { $0.head = head }
            } catch {
                uses.restore(batch)
                setStopped(by: error)
                throw error
            }
            unsealedUses.add(entries.count, ordering: .relaxed)
            report(.usesTold(entries.count))
        }
    }

    /// Has the sealed keyring know the log's end: at once where that tells of something else than uses, and of uses when they are
    /// many, or have waited long, or the process ends.
    private func sealHead(isLast: Bool) throws {
        let now = clock()
        guard audit != nil, !store.isShared, let head = audited.withLock({ $0.head }), head != keyring.audit else {
            unsealedUses.store(0, ordering: .relaxed)
            return sealedAt.store(now, ordering: .relaxed)
        }
        let (unsealed, last) = (unsealedUses.load(ordering: .relaxed), sealedAt.load(ordering: .relaxed))
        // The clock may be set back.
        let isOld = now < last || now - last >= Self.sealInterval
        // What is told of and not done must stay after what the keyring knows: the next start takes it back then.
        guard audited.withLock({ $0.entries.isEmpty }) else { return }
        guard unsealed == 0 || unsealed >= Self.unsealedUsesLimit || isOld || isLast else { return }
        let next = keyring.changed(audit: head) { _ in }
        try save(next, [])
        published.withLock { $0.keyring = next }
        unsealedUses.store(0, ordering: .relaxed)
        sealedAt.store(now, ordering: .relaxed)
    }
}

/// What the keyring thread has to tell the log. Never a secret.
package enum KeyringEvent: Sendable {
    /// A change is durable. `version` is the newest one, 0 for a key that is no more.
    case changed(KeyOrder, version: UInt32)
    /// What was asked for could not be done any more.
    case refused(KeyOrder, EncryptionError)
    /// Every process that shares the keyring has this version: it is used from now on, a signing key once it is published.
    case activated(key: String, version: UInt32)
    /// The store that others share does not answer: keys are used as before, and not administered.
    case unreachable(any Error)
    case reachable
    /// Another keyring is in use, which another process or somebody has made.
    case reloaded(generation: UInt64)
    /// The keyring's file is older than the one that was written last: somebody has put it back. What its keys have sealed is
    /// counted all the same.
    case putBack(generation: UInt64, written: UInt64)
    /// The keyring is sealed under the master key of this id now.
    case sealedAnew(masterKey: [UInt8])
    /// Larger reserves of these keys are durable.
    case reserved([String])
    /// The audit log tells of so many uses more.
    case usesTold(Int)
    /// The process ends, and the audit log does not tell of so many uses.
    case usesLost(Int)
    /// A write failed and is tried again.
    case failed(any Error)
    /// The last write before the end failed: what was asked for is not done.
    case abandoned(any Error)
    /// The audit log cannot be written: keys are used as before, and not administered.
    case administrationStopped(any Error)
    case administrationResumed
    /// The master key's page is not locked in memory.
    case memoryNotLocked
}

/// Microseconds since 1970, or since whenever for a clock that is never set.
package typealias MicrosecondClock = @Sendable () -> Int64

/// Time since the machine was started, its sleep included: whoever slept for longer than a lease notices.
package let systemUptime: MicrosecondClock = {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

/// The system's time of day.
package let systemClock: MicrosecondClock = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}
