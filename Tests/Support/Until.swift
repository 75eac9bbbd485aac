/// Returns once `condition` holds. It looks again and again, for what nobody can be told of; the test's time limit is
/// what ends a wait in vain.
package func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() {
        // A pause between two looks; nothing is concluded from its length.
        try await Task.sleep(for: .milliseconds(1))
    }
}
