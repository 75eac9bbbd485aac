import LibCrypto
import Synchronization

/// Where master keys come from. Does I/O: asked at start and by the keyring thread.
protocol MasterKeySource: Sendable {
    /// How the source is called in texts of errors: a path, never a secret.
    var place: String { get }

    /// The keys as they are now; nil when there is none.
    func read() throws(KeyringProblem) -> MasterKeySet?

    /// Makes one, where there is none.
    func create() throws(KeyringProblem) -> MasterKeySet

    /// What changes when somebody puts other keys there; nil for a source that cannot be looked at again.
    var stamp: String? { get }
}

/// The master key, and while it is replaced the other one.
struct MasterKeySet: Sendable {
    let key: MasterKey
    /// To come: nothing is sealed under it before somebody has sealed the keyring under it.
    var next: MasterKey?
    /// Gone by: nothing is sealed under it any more.
    var old: MasterKey?

    var all: [MasterKey] { [key, next, old].compactMap(\.self) }

    /// As the audit log has it: ids, and nothing of the keys.
    var text: String {
        let others = [("next", next), ("old", old)].compactMap { role, key in key.map { ", \(role) \(Hex.encode($0.id))" } }
        return "key \(Hex.encode(key.id))" + others.joined()
    }
}

/// The master keys that a process accepts, and the one under which it seals.
///
/// Whoever finds something sealed under a key that it does not know reads the source again first: so a key that was put
/// there is accepted by a process that has not looked since.
final class MasterKeys: Sendable {
    private struct State {
        var set: MasterKeySet
        var stamp: String?
        /// The key under which the durable keyring is sealed, as far as this process knows.
        var present: [UInt8]
        /// The same, where the source does not have it any more.
        var kept: MasterKey?
        /// The source as it was when a token refused the PIN.
        var refused: String?
        /// Whether others seal the same keyring, with a source of their own.
        var isShared = false
        /// Whether it was told that the source does not have the present key.
        var isTold = false

        /// The key under which a shared keyring stays sealed, since the source does not say what comes after it: somebody's mistake
        /// on one host is not to keep all others from opening the keyring.
        var firm: MasterKey? { isShared ? kept.flatMap { $0.id == present ? $0 : nil } : nil }
    }

    let source: any MasterKeySource
    private let state: Mutex<State>

    init(_ set: MasterKeySet, of source: any MasterKeySource) {
        self.source = source
        state = Mutex(State(set: set, stamp: source.stamp, present: set.key.id))
    }

    /// The key of a source.
    ///
    /// - Throws: `masterKeyLost` when there is none and `keyring` is sealed under one; `masterKeyMissing`.
    static func open(_ source: any MasterKeySource, keyring: String?, mayCreate: Bool) throws(KeyringProblem) -> MasterKeys {
        if let set = try source.read() { return MasterKeys(set, of: source) }
        if let keyring { throw .masterKeyLost(path: source.place, keyring: keyring) }
        guard mayCreate else { throw .masterKeyMissing(path: source.place) }
        do {
            return MasterKeys(try source.create(), of: source)
        } catch {
            // Another process may have made it meanwhile.
            guard let set = try source.read() else { throw error }
            return MasterKeys(set, of: source)
        }
    }

    /// The key under which this process seals: the one to come, once the keyring is sealed under it.
    var sealing: MasterKey {
        state.withLock { state in
            if let firm = state.firm { return firm }
            if let next = state.set.next, next.id == state.present { return next }
            return state.set.key
        }
    }

    /// The key of that id; nil for one that the source does not have either.
    func key(_ id: [UInt8]) throws(KeyringProblem) -> MasterKey? {
        if let known = known(id) { return known }
        try reload()
        return known(id)
    }

    /// What the source holds, as far as this process knows, for the audit log.
    var text: String { state.withLock { $0.set.text } }

    /// Notes that the durable keyring is sealed under this one.
    func note(present id: [UInt8]) { state.withLock { $0.present = id } }

    /// From now on nothing is sealed under a key that the source does not relate to the present one.
    func share() { state.withLock { $0.isShared = true } }

    /// Looks whether the source has changed, and says whether the keyring is to be sealed anew.
    ///
    /// - Throws: also `masterKeyNotTaken`, once for each change of the source.
    func look() throws(KeyringProblem) -> Bool {
        if source.stamp != state.withLock({ $0.stamp }) { try reload() }
        let isNews = state.withLock { state in
            guard state.firm != nil, !state.isTold else { return false }
            state.isTold = true
            return true
        }
        if isNews { throw .masterKeyNotTaken(path: source.place) }
        return isSealingAnother
    }

    /// The same for whoever has something to write anyhow: a source that cannot be read keeps nobody from that.
    func glance() -> Bool {
        if source.stamp != state.withLock({ $0.stamp }) { try? reload() }
        return isSealingAnother
    }

    private var isSealingAnother: Bool {
        let present = state.withLock { $0.present }
        return sealing.id != present
    }

    private func known(_ id: [UInt8]) -> MasterKey? {
        state.withLock { state in
            (state.set.all + [state.kept].compactMap(\.self)).first { constantTimeEqual($0.id, id) }
        }
    }

    /// What cannot be read leaves those that are known. The key under which the keyring is sealed stays, whatever the source has:
    /// without it nothing could be sealed under another one.
    private func reload() throws(KeyringProblem) {
        // Before it is read: what changes meanwhile is read again at the next look.
        let stamp = source.stamp
        // Tokens lock themselves after some tries: a PIN that was refused is not tried again before something has changed.
        guard stamp != nil, stamp != state.withLock({ $0.refused }) else { return }
        let found: MasterKeySet?
        do throws(KeyringProblem) {
            found = try source.read()
        } catch {
            if case .pinRefused = error {
                state.withLock { state in
                    state.stamp = stamp
                    state.refused = stamp
                }
            }
            throw error
        }
        guard let set = found else { return }
        state.withLock { state in
            let present = ([state.kept].compactMap(\.self) + state.set.all).first { $0.id == state.present }
            state.kept = set.all.contains { $0.id == state.present } ? nil : present
            state.set = set
            state.stamp = stamp
            state.refused = nil
            state.isTold = false
        }
    }
}
