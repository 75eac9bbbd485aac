import RPCCore
import Synchronization

/// Whether one thing that the gateway needs is there.
package struct ReadinessCheck: Sendable {
    /// `auth`, `keys`: a name and nothing more, since anybody may ask.
    package let name: String
    package let isReady: @Sendable () async -> Bool

    package init(_ name: String, _ isReady: @escaping @Sendable () async -> Bool) {
        self.name = name
        self.isReady = isReady
    }
}

/// Runs the checks together, once for all who ask meanwhile. The verdict is kept for a moment, so that asking often
/// costs nothing behind: anybody may ask, and no rate limit is in between.
package final class Readiness: Sendable {
    /// How long a verdict is repeated, from when it was found.
    package static let memory = Duration.seconds(1)

    private struct Verdict {
        let missing: [String]
        let at: ContinuousClock.Instant
    }

    private struct State {
        var last: Verdict?
        var asking: Task<[String], Never>?
    }

    private let checks: [ReadinessCheck]
    private let now: @Sendable () -> ContinuousClock.Instant
    private let changed: @Sendable (_ missing: [String]) -> Void
    private let state = Mutex(State())

    /// - Parameter changed: Told when a verdict is another than the one before; of the first, when something is missing.
    package init(
        _ checks: [ReadinessCheck], now: @escaping @Sendable () -> ContinuousClock.Instant,
        changed: @escaping @Sendable (_ missing: [String]) -> Void = { _ in }
    ) {
        self.checks = checks
        self.now = now
        self.changed = changed
    }

    /// The names of what is missing; empty when the gateway can serve.
    package func missing() async -> [String] {
        let now = now()
        let asking: Task<[String], Never>? = state.withLock { state in
            if let last = state.last, now < last.at.advanced(by: Self.memory) { return nil }
            let asking = state.asking ?? Task { await self.find() }
            state.asking = asking
            return asking
        }
        guard let asking else { return state.withLock { $0.last?.missing ?? [] } }
        return await asking.value
    }

    private func find() async -> [String] {
        let missing = await ask()
        let verdict = Verdict(missing: missing, at: now())
        let before = state.withLock { state in
            defer { state = State(last: verdict) }
            return state.last?.missing ?? []
        }
        if missing != before { changed(missing) }
        return missing
    }

    private func ask() async -> [String] {
        await withTaskGroup(of: String?.self) { group in
            for check in checks { group.addTask { await check.isReady() ? nil : check.name } }
            return await group.reduce(into: []) { if let name = $1 { $0.append(name) } }.sorted()
        }
    }
}

extension Problem {
    static func notReady(_ missing: [String]) -> Problem {
        Problem(
            503, "not_ready", "Not ready: \(missing.joined(separator: ", ")).",
            errors: missing.map { FieldViolation(field: $0, message: "Not available.") },
            headers: [.retryAfter(.seconds(1))])
    }
}
