@testable import EmailService

/// The store's inner doors, for tests that play a worker which dies half-way.
extension OutboxStore {
    func claimForTest(owner: String, now: Microseconds) async throws -> String? {
        try await claim(LeaseTerms(owner: owner, duration: .seconds(60)), now: now)?.id
    }

    /// Claims, lets something happen, and finishes under the old lease.
    ///
    /// - Returns: whether the finish was taken; nil when there was nothing to claim or nothing happened.
    func lateFinishForTest(now: Microseconds, _ meanwhile: () async throws -> Bool) async throws -> Bool? {
        guard let message = try await claim(LeaseTerms(owner: "email-1", duration: .seconds(60)), now: now) else {
            return nil
        }
        guard try await meanwhile() else { return nil }
        return try await finish(message, as: .delivered, now: now)
    }

    func forgetForTest(_ now: Microseconds) async throws -> Int {
        try await purge(finishedBefore: now - Duration.seconds(7 * 86_400).microseconds)
    }
}
