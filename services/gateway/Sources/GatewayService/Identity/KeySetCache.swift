package import JOSE
import RPCCore
import Synchronization

/// Where the keys come from.
package typealias KeySetSource = @Sendable () async throws -> JWKSet

/// The cached keys and their fetches, one at a time.
package final class KeySetCache: Sendable {
    private struct State {
        var keys = KeySetState()
        var fetch: Task<JWKSet, any Error>?
    }

    private let source: KeySetSource
    private let state = Mutex(State())

    package init(source: @escaping KeySetSource) { self.source = source }

    /// Nil until the first fetch succeeded.
    package var keys: JWKSet? { state.withLock { $0.keys.keys } }

    /// Fetches, or waits for the fetch under way. A failed fetch leaves the old keys in place.
    @discardableResult
    package func refresh() async throws -> JWKSet {
        let fetch = state.withLock { state in
            if let fetch = state.fetch { return fetch }
            let fetch = Task { try await self.fetch() }
            state.fetch = fetch
            return fetch
        }
        return try await fetch.value
    }

    /// The keys after one more look, when a token names a key that is not among them.
    ///
    /// - Returns: Nil when it is too soon to look again, or nobody answered.
    package func keysAfterUnknown(now: ContinuousClock.Instant) async -> JWKSet? {
        let may = state.withLock { $0.fetch != nil || $0.keys.mayFetchForUnknownKey(now: now) }
        return may ? try? await refresh() : nil
    }

    private func fetch() async throws -> JWKSet {
        defer { state.withLock { $0.fetch = nil } }
        let keys = try await source()
        state.withLock { $0.keys.install(keys) }
        return keys
    }
}
