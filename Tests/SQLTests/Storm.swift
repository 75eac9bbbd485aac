import SQL

/// Holds the writer, queues `count` transactions behind it, then lets all of them go.
func storm(
    _ database: Database, count: Int, _ body: @escaping @Sendable (Int) async throws -> Void
) async throws -> [Result<Void, any Error>] {
    let gate = Gate()
    let held = Task { try await database.write { _ in gate.hold() } }
    await gate.waitUntilHeld()
    let queued = AsyncStream<Void>.makeStream()
    return try await withThrowingTaskGroup(of: (Int, Result<Void, any Error>).self) { group in
        for index in 0..<count {
            group.addTask {
                queued.continuation.yield()
                do {
                    return (index, .success(try await body(index)))
                } catch {
                    return (index, .failure(error))
                }
            }
        }
        var started = 0
        for await _ in queued.stream {
            started += 1
            if started == count { break }
        }
        gate.open()
        try await held.value
        var results = [Result<Void, any Error>](repeating: .success(()), count: count)
        for try await (index, result) in group { results[index] = result }
        return results
    }
}
