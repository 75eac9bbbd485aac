import Synchronization

/// Which of a process's services serve: written by whoever notices that one cannot, read by health.
package final class HealthBook: Sendable {
    package enum State: Sendable, Hashable {
        case serving
        /// - Parameter reason: A sentence for the operator; nothing secret, nothing personal.
        case notServing(reason: String)
    }

    private struct Entries {
        var names: [String] = []
        var troubles: [String: String] = [:]
        var isDraining = false
        var watchers: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextWatcher: UInt64 = 0
    }

    private let entries = Mutex(Entries())

    package init() {}

    /// A service serves until somebody says otherwise.
    ///
    /// - Parameter service: Its full name, `lockstep.auth.v1.AuthService`.
    package func set(_ service: String, _ state: State) {
        change { entries in
            switch state {
            case .serving: entries.troubles[service] = nil
            case .notServing(let reason): entries.troubles[service] = reason
            }
        }
    }

    /// The process has begun to stop: from now on nothing serves.
    func drain() { change { $0.isDraining = true } }

    /// Names the services that the process hosts.
    func host(_ names: [String]) { change { $0.names = names.sorted() } }

    func snapshot() -> HealthSnapshot {
        entries.withLock { HealthSnapshot(names: $0.names, troubles: $0.troubles, isDraining: $0.isDraining) }
    }

    /// One element now, and one after each change; changes that nobody has looked at yet are one.
    func changes() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = entries.withLock { entries in
            defer { entries.nextWatcher += 1 }
            entries.watchers[entries.nextWatcher] = continuation
            return entries.nextWatcher
        }
        continuation.onTermination = { [weak self] _ in self?.forget(number) }
        continuation.yield()
        return stream
    }

    private func forget(_ number: UInt64) { _ = entries.withLock { $0.watchers.removeValue(forKey: number) } }

    private func change(_ body: (inout Entries) -> Void) {
        let watchers = entries.withLock { entries in
            body(&entries)
            return Array(entries.watchers.values)
        }
        for watcher in watchers { watcher.yield() }
    }
}

/// What the book says at one moment.
struct HealthSnapshot: Sendable, Hashable {
    let names: [String]
    let troubles: [String: String]
    let isDraining: Bool
}
