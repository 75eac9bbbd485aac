import RPCCore
import SQL
import TestSupport
import Testing

@testable import TokenService

@Suite(.everyEngine) struct AuditTests {
    @Test func readsAreForgottenInTimeAndNothingElse() async throws {
        try await Fixture.with(ProviderRegistry([.acme("https://acme.example")])) { fixture in
            let start = try await fixture.client("usr_ada").start()
            let connection = try await fixture.store.connection(start.connectionID, of: "usr_ada")
            let read = try #require(connection)
            try await fixture.store.recordRead(read, Change(at: fixture.clock.now, requestID: "old"))
            fixture.clock.advance(by: TokenLimits.readAge)
            try await fixture.store.recordRead(read, Change(at: fixture.clock.now, requestID: "new"))
            func forget() async throws -> [String] {
                try await fixture.store.forgetReads(before: fixture.clock.now - TokenLimits.readAge.microseconds)
                return try await fixture.events()
            }
            let first = try await fixture.events()
            #expect(first.count { $0 == "token_read" } == 2)
            #expect(try await forget() == first)
            fixture.clock.advance(by: .seconds(1))
            #expect(try await forget() == first.filter { $0 != "token_read" } + ["token_read"])
        }
    }

    @Test func forgettingReadsNoWholeTable() async throws {
        guard Engine.current == .sqlite else { return }
        try await Fixture.with(ProviderRegistry([])) { fixture in
            let plan = try await fixture.database.read { reader in
                try reader.query(
                    "EXPLAIN QUERY PLAN DELETE FROM audit_events WHERE event = 'token_read' AND at < :limit",
                    ["limit": 0]
                ) { try $0.get("detail", as: String.self) }
            }
            #expect(plan.contains { $0.contains("audit_events_reads") })
        }
    }

    /// It runs each minute, and after each disconnection.
    @Test func purgingReadsNoWholeTable() async throws {
        guard Engine.current == .sqlite else { return }
        let statements: [(String, Parameters)] = [
            (ConnectionStore.needsPurge, ["now": 0, "limit": 0, "begun": 0]),
            (ConnectionStore.deleteLost, ["now": 0, "begun": 0]), (ConnectionStore.dropDeleted, ["limit": 0]),
        ]
        try await Fixture.with(ProviderRegistry([])) { fixture in
            for (sql, parameters) in statements {
                let plan = try await fixture.database.write {
                    try $0.query("EXPLAIN QUERY PLAN " + sql, parameters) { try $0.get("detail", as: String.self) }
                }
                let searches = plan.filter { $0.contains(" connections") }
                let byRange = searches.filter { $0.contains("<?)") }
                #expect(!searches.isEmpty && byRange == searches, "\(sql): \(plan)")
            }
        }
    }
}
