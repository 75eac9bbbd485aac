import ContractClients
import Contracts
import Foundation
import RPCClient
import RPCCore
import RPCTransport
import Synchronization
import TestSupport
import Testing

/// PostgreSQL is away for ten seconds while people sign in: what callers are told is true, and all goes on by itself.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DatabaseOutageTests {
    private static let password = "canary-horse-battery-\(UInt32.random(in: 1_000_000...9_999_999))"

    /// What became of sign-ins.
    private final class Book: Sendable {
        struct Entry: Sendable {
            let code: StatusCode
            let reason: String
            let processed: Processed
            /// Begun and ended while the server was away.
            let isInside: Bool
            let took: Duration
        }

        struct Entries {
            var acknowledged: [String] = []
            var failed: [Entry] = []
            /// Whether the server is away, and how often that has changed.
            var isAway = false
            var changes = 0
        }

        let entries = Mutex(Entries())
        let isOver = Atomic(false)

        func turn(away: Bool) {
            entries.withLock { entries in
                entries.isAway = away
                entries.changes += 1
            }
        }

        func signIn(_ auth: AuthServiceClient, _ address: String, _ password: String) async {
            var request = AuthCreateSessionRequest()
            request.email = address
            request.password = password
            let (wasAway, before) = entries.withLock { ($0.isAway, $0.changes) }
            let start = ContinuousClock.now
            do {
                let session = try await auth.createSession(request, CallOptions())
                entries.withLock { $0.acknowledged.append(session.sessionID) }
            } catch {
                let took = start.duration(to: .now)
                entries.withLock { entries in
                    entries.failed.append(
                        Entry(
                            code: error.code, reason: error.reason, processed: error.processed,
                            isInside: wasAway && entries.changes == before, took: took))
                }
            }
        }

        func wait(_ what: String, for condition: @Sendable (Entries) -> Bool) async throws {
            let met: Bool? = try await eventually(within: .seconds(60)) { self.entries.withLock { condition($0) } ? true : nil }
            try #require(met == true, "\(what)")
        }
    }

    @Test("ASVS 16.5.2: PostgreSQL away for 10 s under load: callers learn what was done, and the same processes go on")
    func awayForTenSeconds() async throws {
        let postgres = try await PostgresServer()
        let system = try await RunningSystem.start(settings: [
            "LOCKSTEP_DATABASE_URL": postgres.sharedURL, "LOCKSTEP_ENCRYPTION_PASSWORD_ROUNDS": "10",
            "LOCKSTEP_AUTH_SESSIONS_PER_USER": "100",
        ])
        defer { system.stop() }
        // Several, so that nobody has as many sessions as one may have.
        var addresses: [String] = []
        for _ in 0..<8 { addresses.append(try await system.account(password: Self.password)) }
        let people = addresses
        let pids = try RunningSystem.services.map { try system.pid(of: $0) }
        let book = Book()
        try await system.withAuth { auth in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for address in people {
                    group.addTask {
                        while !book.isOver.load(ordering: .relaxed) { await book.signIn(auth, address, Self.password) }
                    }
                }
                try await book.wait("nobody signs in") { $0.acknowledged.count > 20 }
                try await postgres.stop()
                book.turn(away: true)
                // The outage is what is tested, and this is its length.
                try await Task.sleep(for: .seconds(10))
                book.turn(away: false)
                try await postgres.start()
                let before = book.entries.withLock { $0.acknowledged.count }
                try await book.wait("nobody signs in again") { $0.acknowledged.count > before + 20 }
                book.isOver.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
        }
        let entries = book.entries.withLock { $0 }
        #expect(Set(entries.failed.map(\.code)) == [.unavailable])
        #expect(Set(entries.failed.map(\.reason)).isSubset(of: ["database_unavailable", "database_outcome_unknown", "database_busy"]))
        for entry in entries.failed where entry.reason == "database_outcome_unknown" { #expect(entry.processed == .maybe) }
        // Whoever came while it was away was told so at once, and that nothing was done.
        let inside = entries.failed.filter(\.isInside)
        #expect(inside.count > 20 && Set(inside.map(\.reason)) == ["database_unavailable"])
        #expect(inside.allSatisfy { $0.processed == .no })
        #expect(inside.allSatisfy { $0.took < .seconds(5) }, "\(inside.map(\.took).max() ?? .zero)")
        // Each acknowledged session is there; others only where it was said that there may be.
        var listed: Set<String> = []
        for address in people { listed.formUnion(try await system.sessions(of: address, Self.password)) }
        #expect(Set(entries.acknowledged).isSubset(of: listed))
        let possible = entries.failed.count { $0.processed != .no }
        #expect(listed.count <= entries.acknowledged.count + possible + people.count)
        #expect(try RunningSystem.services.map { try system.pid(of: $0) } == pids, "the same processes")
        // Sign-ins may be back before each process has asked its database again: readiness follows by itself.
        let isReady: Bool? = try await eventually(within: .seconds(30)) { try await system.curl("/readyz").status == 200 ? true : nil }
        #expect(isReady == true)
        let told = Dictionary(grouping: entries.failed) { "\($0.reason) processed \($0.processed)" }.mapValues(\.count)
        print("PostgreSQL away for 10 s: \(entries.acknowledged.count) sign-ins acknowledged; \(told)")
        try await postgres.stop()
    }
}

extension RunningSystem {
    /// A client of auth's with the gateway's certificate.
    fileprivate func withAuth(_ body: (AuthServiceClient) async throws -> Void) async throws {
        let certificates = state.appending(path: "certs").path
        let tls = try TLSIdentity(
            certificateFile: "\(certificates)/gateway.pem", keyFile: "\(certificates)/gateway.key",
            authorityFile: state.appending(path: "ca.pem").path)
        let pool = try ClientPool(service: "auth", host: "127.0.0.1", port: ports["auth"] ?? 0, tls: tls)
        do {
            try await body(AuthServiceClient(pool))
        } catch {
            await pool.shutdown()
            throw error
        }
        await pool.shutdown()
    }

    /// The ids of all sessions, with the one that asks.
    fileprivate func sessions(of address: String, _ password: String) async throws -> Set<String> {
        let session = try await signIn(address, password: password)
        try #require(session.status == 201, "\(session.body)")
        let listed = try await curl("/v1/sessions", token: session["access_token"])
        return Set(listed.body.matches(of: /"session_id":"([^"]+)"/).map { String($0.1) })
    }
}
