package import Testing

/// Returns once `condition` holds. It looks again and again, for what nobody can be told of.
///
/// - Throws: `WaitedInVain` when it does not come about: a test that stood still would take all that come after it along, and
///   nobody would learn its name. How long that takes is no claim: it is many times what a sanitizer on a busy machine needs.
package func until(
    _ sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    // A machine that sleeps meanwhile takes nothing of it.
    let end = SuspendingClock.now + .seconds(180)
    while try await !condition() {
        guard SuspendingClock.now < end else { throw WaitedInVain(sourceLocation) }
        // A pause between two looks; nothing is concluded from its length.
        try await Task.sleep(for: .milliseconds(1))
    }
}

package struct WaitedInVain: Error, CustomStringConvertible {
    package let description: String

    init(_ sourceLocation: SourceLocation) {
        description = "what \(sourceLocation.fileName):\(sourceLocation.line) waits for has not come about in three minutes"
    }
}
