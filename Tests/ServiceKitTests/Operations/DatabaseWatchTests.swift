@testable import ServiceKit
import ServiceStorage
import SQL
import TestSupport
import Testing

/// A database that goes away shows in its process's health, and so does its return.
@Suite struct DatabaseWatchTests {
    enum Outage: CaseIterable {
        /// Refuses connections.
        case stopped
        /// Takes connections and answers nothing.
        case frozen
    }

    @Test(.timeLimit(.minutes(2)), arguments: Outage.allCases)
    func healthTellsWhetherTheDatabaseAnswers(outage: Outage) async throws {
        let server = try await PostgresServer()
        let database = try await Database.open(url: server.freshURL())
        let (health, output) = (HealthBook(), CollectedOutput())
        health.host(["ledger", "other"])
        let watch = DatabaseWatch(
            database, services: ["ledger"], health: health, logger: output.logger(), interval: .milliseconds(20))
        let run = Task { try await watch.run() }
        #expect(health.snapshot().troubles == [:])

        try await (outage == .stopped ? server.stop() : server.freeze())
        let trouble = try #require(await health.first { !$0.isEmpty })
        #expect(Set(trouble.keys) == ["ledger"])
        #expect(trouble["ledger"]?.hasPrefix("The database ") == true)
        // Health is shown to peers: no address, no user.
        #expect(trouble["ledger"]?.contains("postgres") == false)

        try await (outage == .stopped ? server.start() : server.thaw())
        #expect(await health.first { $0.isEmpty } != nil)
        run.cancel()
        try await run.value
        #expect(output.text.contains("not serving") && output.text.contains("serving again"))
        await database.close()
        try await server.stop()
    }

    /// However seldom it is asked while it answers.
    @Test(.timeLimit(.minutes(2))) func aReturnIsSeenSoon() async throws {
        let server = try await PostgresServer()
        let database = try await Database.open(url: server.freshURL())
        let (health, output) = (HealthBook(), CollectedOutput())
        health.host(["ledger"])
        try await server.stop()
        let watch = DatabaseWatch(database, services: ["ledger"], health: health, logger: output.logger(), interval: .seconds(3600))
        let run = Task { try await watch.run() }
        #expect(await health.first { !$0.isEmpty } != nil)
        try await server.start()
        #expect(await health.first { $0.isEmpty } != nil)
        run.cancel()
        try await run.value
        await database.close()
        try await server.stop()
    }
}

extension HealthBook {
    /// What is wrong, once `condition` holds of it.
    fileprivate func first(_ condition: ([String: String]) -> Bool) async -> [String: String]? {
        for await _ in changes() {
            let troubles = snapshot().troubles
            if condition(troubles) { return troubles }
        }
        return nil
    }
}
