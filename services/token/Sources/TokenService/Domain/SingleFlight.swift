private import RPCCore
private import Synchronization

/// Of many who want the same thing done, one does it and all learn the outcome. The work outlives those who asked.
final class SingleFlight: Sendable {
    private let flights = Mutex<[String: Task<Void, any Error>]>([:])

    /// Joins the work under way for `key`, or starts it.
    func run(_ key: String, _ work: @escaping @Sendable () async throws -> Void) async throws {
        let flight = flights.withLock { flights in
            if let flight = flights[key] { return flight }
            let flight = HandlerScope.outside {
                Task {
                    defer { self.land(key) }
                    try await work()
                }
            }
            flights[key] = flight
            return flight
        }
        try await flight.value
    }

    private func land(_ key: String) {
        _ = flights.withLock { $0.removeValue(forKey: key) }
    }
}
