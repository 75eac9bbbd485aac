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

/// Runs the checks together. The verdict is kept for a moment, so that asking often costs nothing behind.
package final class Readiness: Sendable {
    /// How long a verdict is repeated.
    package static let memory = Duration.seconds(1)

    private struct Verdict {
        let missing: [String]
        let at: ContinuousClock.Instant
    }

    private let checks: [ReadinessCheck]
    private let last = Mutex<Verdict?>(nil)

    package init(_ checks: [ReadinessCheck]) { self.checks = checks }

    /// The names of what is missing; empty when the gateway can serve.
    package func missing(now: ContinuousClock.Instant) async -> [String] {
        if let last = last.withLock({ $0 }), now < last.at.advanced(by: Self.memory) { return last.missing }
        let missing = await ask()
        last.withLock { $0 = Verdict(missing: missing, at: now) }
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
