import Contracts
import Logging
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// The audit trail: sealed, append-only, forgotten with the person.
@Suite(.everyEngine) struct AuditTrailTests {
    private func column(_ name: String, _ table: String, _ fixture: Fixture) async throws -> [String] {
        try await fixture.database.read {
            try $0.query("SELECT CAST(\(name) AS TEXT) AS text FROM \(table)") { try $0.get("text", as: String?.self) ?? "" }
        }
    }

    private func refuses(_ sql: String, _ fixture: Fixture) async -> Bool {
        do {
            try await fixture.database.write { _ = try $0.execute(sql) }
            return false
        } catch {
            return "\(error)".contains("append-only")
        }
    }

    /// As somebody with the database's password would, past the triggers.
    private func tamper(_ sql: String, _ table: String, _ fixture: Fixture) async throws {
        let isSQLite = Engine.current == .sqlite
        let triggers = ["update", "delete", "wait"].map { "\(table)_\($0)" }
        try await fixture.database.write { transaction in
            if isSQLite {
                for trigger in triggers { try transaction.execute("DROP TRIGGER IF EXISTS \(trigger)") }
            } else {
                try transaction.execute("ALTER TABLE \(table) DISABLE TRIGGER USER")
            }
            _ = try transaction.execute(sql)
        }
    }

    private func seal(_ fixture: Fixture) async throws {
        while try await fixture.handler.store.sealAuditTrail(as: "one") > 0 {}
    }

    @Test("ASVS 14.2.7, GDPR 17: addresses and user agents are under the user's key, and gone with it")
    func personalFieldsGoWithTheirKey() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn(agent: "Ada's browser", from: "198.51.100.77")
        for name in ["address", "user_agent", "network", "site", "detail"] {
            let text = try await column(name, "audit_events", fixture).joined()
            #expect(!text.contains("198.51.100") && !text.contains("browser"), "\(name)")
        }
        let account = try fixture.account(session, ada.userID)
        let own = try await account.listAuditEvents(.init(), CallOptions()).events
        let signIn = try #require(own.first { $0.event == "authn_login_success" })
        #expect(signIn.address == "198.51.100.77" && signIn.userAgent == "Ada's browser", "she reads her own")
        // An admin's address is under the admin's key: it does not go with the user's, and the user's does not stay.
        #expect(try await column("key", "audit_keys", fixture).count == 1)
        var request = AuthDeleteUserRequest()
        request.currentPassword = Fixture.password
        _ = try await account.deleteUser(request, CallOptions())
        #expect(try await column("key", "audit_keys", fixture).isEmpty)
        let rows = try await fixture.operatorClient().searchAuditEvents(.init(), CallOptions()).events
        #expect(rows.count >= 4 && rows.allSatisfy { $0.address.isEmpty && $0.userAgent.isEmpty })
        try await seal(fixture)
        #expect(try await fixture.handler.store.verifyAuditTrail().isWhole)
    }

    @Test("ASVS 16.4.2: the database refuses changes of the trail, and forgets only what has its time")
    func theTrailIsAppendOnly() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.signIn()
        _ = await refusal { _ = try await fixture.signIn("nobody@example.com", password: "wrong") }
        try await seal(fixture)
        for sql in [
            "UPDATE audit_events SET event = 'authn_login_fail' WHERE event = 'authn_login_success'",
            "UPDATE audit_events SET at = at + 1", "UPDATE audit_events SET detail = 'x' WHERE event = 'email_verified'",
            "UPDATE audit_events SET subject = NULL WHERE event = 'email_verified'",
            "UPDATE audit_events SET sealed = NULL WHERE event = 'authn_login_success'",
            "DELETE FROM audit_events WHERE event = 'authn_login_success'", "DELETE FROM audit_events",
            "UPDATE audit_chain SET hash = digest", "DELETE FROM audit_chain",
            "DELETE FROM audit_chain WHERE position = 1",
        ] { #expect(await refuses(sql, fixture), "\(sql)") }
        if Engine.current == .postgres {
            #expect(await refuses("TRUNCATE audit_events", fixture))
            #expect(await refuses("TRUNCATE audit_chain", fixture))
        }
        #expect(try await fixture.audit().count == 4)
        fixture.clock.advance(by: AuthPolicy.memory + .seconds(1))
        try await fixture.handler.store.prune()
        #expect(try await fixture.audit() == ["user_registered", "email_verified", "authn_login_success"])
        let report = try await fixture.handler.store.verifyAuditTrail()
        #expect(report.isWhole && report.entries == 4 && report.forgotten == 1)
    }

    @Test("ASVS 16.4.2: the chain finds what was changed, removed or put in past the triggers")
    func theChainFindsTampering() async throws {
        let attacks = [
            ("audit_events", "UPDATE audit_events SET detail = 'x' WHERE event = 'email_verified'", "was changed"),
            ("audit_events", "DELETE FROM audit_events WHERE event = 'authn_login_success'", "was removed before its time"),
            (
                "audit_events",
                """
                INSERT INTO audit_events (id, at, event, request_id, address, network, user_agent, mailed)
                VALUES ('aud_false', 1, 'user_deleted', '', '', '', '', 0)
                """, "was put in"
            ),
            ("audit_chain", "DELETE FROM audit_chain WHERE position = 2", "are missing"),
            ("audit_chain", "UPDATE audit_chain SET digest = hash WHERE position = 2", "does not follow"),
        ]
        for (table, sql, expected) in attacks {
            let fixture = try await Fixture()
            _ = try await fixture.member()
            _ = try await fixture.signIn()
            try await seal(fixture)
            #expect(try await fixture.handler.store.verifyAuditTrail().isWhole)
            try await tamper(sql, table, fixture)
            let report = try await fixture.handler.store.verifyAuditTrail()
            #expect(!report.isWhole && report.problems.contains { $0.contains(expected) }, "\(sql): \(report.problems)")
        }
    }

    /// No trigger knows the time: what may be forgotten one day is missed when it goes today.
    @Test("ASVS 16.4.2: what may be forgotten is missed before its time", arguments: [
        "DELETE FROM audit_events WHERE event = 'authn_login_fail'", "DELETE FROM audit_events WHERE subject IS NULL AND actor IS NULL",
    ])
    func removedBeforeItsTime(sql: String) async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = await refusal { _ = try await fixture.signIn("nobody@example.com", password: "wrong") }
        try await seal(fixture)
        try await fixture.database.write { _ = try $0.execute(sql) }
        let report = try await fixture.handler.store.verifyAuditTrail()
        #expect(report.problems.contains { $0.contains("removed before its time") }, "\(report.problems)")
    }

    @Test("ASVS 16.4.2: an account's rows are not made those of one that nobody confirmed")
    func aConfirmedAccountIsNotForgotten() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await seal(fixture)
        fixture.clock.advance(by: AuthPolicy.retention + .seconds(1))
        try await fixture.database.write { transaction in
            try transaction.execute("UPDATE users SET email_verified_at = NULL")
            _ = try transaction.execute("DELETE FROM audit_events")
        }
        #expect(try await !fixture.handler.store.verifyAuditTrail().isWhole)
    }

    @Test("ASVS 16.4.2: a chain that was cut off or written anew does not hold what was kept of it")
    func whatWasKeptOfTheChain() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await seal(fixture)
        let store = fixture.handler.store
        let kept = try await store.verifyAuditTrail().head
        #expect(try await store.verifyAuditTrail(holding: kept).isWhole)
        _ = try await fixture.signIn()
        try await seal(fixture)
        #expect(try await store.verifyAuditTrail(holding: kept).isWhole, "it goes on")
        try await tamper("DELETE FROM audit_chain", "audit_chain", fixture)
        try await fixture.database.write { transaction in
            _ = try transaction.execute(
                "INSERT INTO audit_queue (event_id, at) SELECT id, at FROM audit_events WHERE event <> 'email_verified'")
        }
        try await tamper("DELETE FROM audit_events WHERE event = 'email_verified'", "audit_events", fixture)
        try await seal(fixture)
        #expect(try await store.verifyAuditTrail().isWhole, "SHA-256 has no key")
        #expect(try await !store.verifyAuditTrail(holding: kept).isWhole)
    }

    @Test("ASVS 16.2.1: a row of a process that knows no chain is sealed too")
    func rowsOfAnEarlierVersion() async throws {
        let fixture = try await Fixture()
        try await fixture.database.write { transaction in
            _ = try transaction.execute(
                """
                INSERT INTO audit_events (id, at, event, request_id, address, network, user_agent, mailed)
                VALUES ('aud_earlier', 1, 'authn_login_fail', '', '', '', '', 0)
                """)
        }
        try await seal(fixture)
        let report = try await fixture.handler.store.verifyAuditTrail()
        #expect(report.isWhole && report.entries == 1)
    }

    /// The words stand in Swift, in an index and in triggers.
    @Test func everythingEverydayIsForgotten() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let change = Change(at: fixture.clock.now, origin: Origin(address: "192.0.2.1", userAgent: "agent", requestID: "req"))
        try await fixture.handler.store.write { transaction in
            for event in AuthStore.everydayEvents { try transaction.audit(event, user: user.userID, change) }
        }
        try await seal(fixture)
        fixture.clock.advance(by: AuthPolicy.memory + .seconds(1))
        try await fixture.handler.store.prune()
        #expect(try await fixture.audit() == ["user_registered", "email_verified"])
        #expect(try await fixture.handler.store.verifyAuditTrail().isWhole)
    }

    @Test func anAccountThatNobodyConfirmedIsForgottenWithItsRows() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        try await seal(fixture)
        fixture.clock.advance(by: AuthPolicy.retention + .seconds(1))
        try await fixture.handler.store.prune()
        #expect(try await fixture.audit().isEmpty)
        let report = try await fixture.handler.store.verifyAuditTrail()
        #expect(report.isWhole && report.entries == 1 && report.forgotten == 1)
    }

    @Test func oneProcessSealsAtATime() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        let (one, two) = (fixture.handler.store, second.handler.store)
        _ = try await fixture.member()
        #expect(try await one.sealAuditTrail(as: "one") == 2)
        _ = try await fixture.signIn()
        #expect(try await two.sealAuditTrail(as: "two") == 0, "the lease is another's")
        fixture.clock.advance(by: AuditSealer.lease)
        #expect(try await two.sealAuditTrail(as: "two") == 1, "it has lapsed")
        // Many at once in both, while rows are being written: one chain without gaps.
        for _ in 0..<20 { _ = await refusal { _ = try await fixture.signIn(password: "wrong") } }
        await withDiscardingTaskGroup { group in
            for index in 0..<12 {
                group.addTask {
                    _ = try? await (index.isMultiple(of: 2) ? one : two).sealAuditTrail(
                        as: index.isMultiple(of: 2) ? "one" : "two", lease: .zero)
                }
                group.addTask { _ = await refusal { _ = try await fixture.signIn("nobody@example.com", password: "wrong") } }
            }
        }
        while try await one.sealAuditTrail(as: "one", lease: .zero) > 0 {}
        let report = try await one.verifyAuditTrail()
        #expect(report.isWhole && report.entries == 3 + 20 + 12 && report.waiting == 0, "\(report.problems)")
    }

    /// It cannot be one that anybody gave: whoever left it had a clock that was ahead, and is gone.
    @Test func aLeaseOfAClockThatWasAheadKeepsNobodyFromSealing() async throws {
        let fixture = try await Fixture()
        let ahead = ManualClock()
        ahead.advance(by: .seconds(3600))
        let early = AuthStore(database: fixture.database, policy: fixture.handler.policy, clock: ahead)
        _ = try await fixture.member()
        #expect(try await early.sealAuditTrail(as: "ahead") == 2)
        _ = try await fixture.signIn()
        #expect(try await fixture.handler.store.sealAuditTrail(as: "one") == 1)
        // One that is behind finds a lease that reaches too far for it, and both go on: the chain stays one.
        _ = await refusal { _ = try await fixture.signIn(password: "wrong") }
        #expect(try await early.sealAuditTrail(as: "ahead") == 1)
        let report = try await early.verifyAuditTrail()
        #expect(report.isWhole && report.entries == 4 && report.waiting == 0, "\(report.problems)")
    }

    @Test func theWorkerSealsWithoutBeingAsked() async throws {
        let fixture = try await Fixture()
        let sealer = AuditSealer(
            store: fixture.handler.store, clock: fixture.clock, logger: .init(label: "test") { _ in SwiftLogNoOpLogHandler() },
            owner: "one")
        _ = try await fixture.member()
        #expect(try await fixture.handler.store.verifyAuditTrail().waiting == 2)
        let running = Task { await sealer.run() }
        await fixture.clock.waitForSleeper()
        #expect(try await fixture.handler.store.verifyAuditTrail().waiting == 0)
        running.cancel()
        await running.value
    }
}
