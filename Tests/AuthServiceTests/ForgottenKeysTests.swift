import Contracts
import Foundation
import Logging
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// A deleted user's key is gone from where the database keeps its bytes, and not from its tables alone.
@Suite(.everyEngine) struct ForgottenKeysTests {
    /// Whether SQLite's file, and its log, hold these bytes.
    private func holds(_ key: [UInt8], _ fixture: Fixture) throws -> (file: Bool, log: Bool) {
        func holds(_ name: String) -> Bool {
            let data = FileManager.default.contents(atPath: fixture.directory.path(name)) ?? Data()
            return data.range(of: Data(key)) != nil
        }
        return (holds("auth.sqlite"), holds("auth.sqlite-wal"))
    }

    private func key(_ fixture: Fixture) async throws -> [UInt8] {
        try await fixture.database.read { try $0.one("SELECT key FROM audit_keys").get("key", as: [UInt8].self) }
    }

    private func maintain(_ fixture: Fixture) async {
        let maintenance = Maintenance(
            store: fixture.handler.store, clock: fixture.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { await maintenance.run() }
        await fixture.clock.waitForSleeper()
        running.cancel()
        await running.value
    }

    @Test("GDPR 17: no file of SQLite's holds the key of a deleted account after the next maintenance")
    func theLogIsEmptied() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        let key = try await key(fixture)
        await maintain(fixture)
        #expect(try holds(key, fixture) == (true, false), "it is in the file, and this test sees it")
        var request = AuthDeleteUserRequest()
        request.currentPassword = Fixture.password
        _ = try await fixture.account(session, ada.userID).deleteUser(request, CallOptions())
        await maintain(fixture)
        #expect(try holds(key, fixture) == (false, false))
    }

    @Test func theKeyOfAnAccountThatNobodyConfirmedGoesAsWell() async throws {
        guard Engine.current == .sqlite else { return }
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let key = try await key(fixture)
        #expect(try holds(key, fixture).log)
        fixture.clock.advance(by: AuthPolicy.retention + .seconds(1))
        let store = fixture.handler.store
        let before = try await store.forgetDeletedKeys(since: nil)
        try await store.prune()
        let after = try await store.forgetDeletedKeys(since: before)
        #expect(after != before)
        #expect(try holds(key, fixture) == (false, false))
        #expect(try await store.forgetDeletedKeys(since: after) == after, "nothing more to do")
    }

    /// Else VACUUM sees a large table with few deletions late.
    @Test func postgresCleansTheTableOfKeysSoon() async throws {
        guard Engine.current == .postgres else { return }
        let fixture = try await Fixture()
        let options = try await fixture.database.read {
            try $0.one("SELECT array_to_string(reloptions, ' ') AS o FROM pg_class WHERE oid = 'audit_keys'::regclass")
                .get("o", as: String.self)
        }
        #expect(options.contains("autovacuum_vacuum_scale_factor=0") && options.contains("autovacuum_vacuum_threshold=0"))
    }
}
