import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// One password, many guesses, from as many addresses as anybody likes.
@Suite(.everyEngine) struct GuessLimitTests {
    private let address = "ada@example.com"
    private let strangers = GuessLane.stranger.limit
    private let home = "192.0.2.1"

    private func guess(_ fixture: Fixture, _ count: Int, from network: (Int) -> String = { "198.51.100.\($0 % 250)" })
        async throws
    {
        for number in 0..<count {
            let origin = network(number)
            #expect(
                await refusal { _ = try await fixture.signIn(address, password: "wrong \(number)", from: origin) }
                    == "invalid_credentials")
        }
    }

    private func isLockedOut(_ fixture: Fixture, from origin: String) async -> Bool {
        await refusal { _ = try await fixture.signIn(address, from: origin) } == "invalid_credentials"
    }

    @Test("NIST SP 800-63B-4 3.2.2: at most 100 failures in a row")
    func theLimitsAreNISTsTogether() {
        #expect(GuessLane.stranger.limit + GuessLane.familiar.limit == 100)
    }

    @Test("ASVS 6.1.1: a lock is no weapon: strangers have a limit and the owner stays in")
    func strangersHaveALimitAndTheOwnerStaysIn() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.signIn(from: home)
        try await guess(fixture, strangers)
        #expect(await isLockedOut(fixture, from: "203.0.113.1"))
        fixture.clock.advance(by: .seconds(365 * 86_400 / 12))
        #expect(await isLockedOut(fixture, from: "203.0.113.1"), "time alone gives nobody more guesses")
        _ = try await fixture.signIn(from: home)
        _ = try await fixture.signIn(from: "203.0.113.1")
    }

    @Test func oneLessThanTheLimitIsForgottenWithASuccess() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        for _ in 0..<2 {
            try await guess(fixture, strangers - 1)
            _ = try await fixture.signIn(from: "203.0.113.1")
            // From here on that network is familiar; the strangers' count starts over.
        }
    }

    @Test func aFamiliarNetworkHasALimitToo() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.signIn(from: "2001:db8:1:2::1")
        try await guess(fixture, GuessLane.familiar.limit) { "2001:db8:1:2::\($0 + 2)" }
        #expect(await isLockedOut(fixture, from: "2001:db8:1:2::1"))
        _ = try await fixture.signIn(from: home)
    }

    @Test("ASVS 6.1.1: whoever is locked out is let in by a reset")
    func mailAlwaysHelps() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await guess(fixture, strangers)
        #expect(await isLockedOut(fixture, from: home))
        try await fixture.requestReset(address)
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: Fixture.password)
        _ = try await fixture.signIn(from: home)
    }

    @Test("ASVS 6.1.1, 6.3.1: of parallel guesses so many are verified as the limit says")
    func manyAtOnceAreNoWayAround() async throws {
        let fixture = try await Fixture()
        let second = try await fixture.secondProcess()
        _ = try await fixture.member()
        await withDiscardingTaskGroup { group in
            for number in 0..<150 {
                group.addTask {
                    var request = AuthCreateSessionRequest()
                    request.email = address
                    request.password = "wrong \(number)"
                    let handler = number.isMultiple(of: 2) ? fixture.handler : second.handler
                    let refused = await refusal {
                        _ = try await fixture.client(handler: handler).createSession(request, CallOptions())
                    }
                    #expect(refused == "invalid_credentials")
                }
            }
        }
        let events = try await fixture.audit()
        #expect(events.count { $0 == "authn_login_fail" } == strangers)
        #expect(events.count { $0 == "authn_login_lock" } == 150 - strangers)
        #expect(await isLockedOut(fixture, from: home))
    }

    @Test("ASVS 6.3.8: guesses at unknown addresses are counted the same")
    func unknownAddressesAreCountedTheSame() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member("known@example.com")
        func statements(_ address: String) async throws -> [UInt64] {
            var costs: [UInt64] = []
            for number in 0...strangers {
                let before = fixture.database.statistics.statements
                _ = await refusal { _ = try await fixture.signIn(address, password: "wrong \(number)", from: home) }
                costs.append(UInt64(fixture.database.statistics.statements - before))
            }
            return costs
        }
        #expect(try await statements("known@example.com") == statements("nobody@example.com"))
        #expect(try await fixture.audit().count { $0 == "authn_login_lock" } == 2)
        let stored = try await fixture.database.read {
            try $0.query("SELECT subject FROM guesses WHERE user_id IS NULL") { try $0.get("subject", as: String.self) }
        }
        #expect(stored.count == 1 && !stored[0].contains("nobody"))
    }

    /// When a service is away, nobody learns whether the password was right: that was no guess.
    @Test func anOutageIsNoGuess() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        fixture.tokens.set(down: true)
        for _ in 0...strangers {
            #expect(await refusal { _ = try await fixture.signIn(from: home) } == "unavailable")
        }
        fixture.tokens.set(down: false)
        _ = try await fixture.signIn(from: home)
    }

    @Test func aSessionGuessesTheCurrentPasswordNoMoreOften() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let client = try await fixture.client(fixture.signIn(from: home), user.userID)
        func change(from current: String, to new: String) async -> String? {
            var request = AuthChangePasswordRequest()
            request.currentPassword = current
            request.newPassword = new
            return await refusal { _ = try await client.changePassword(request, CallOptions()) }
        }
        for _ in 0...GuessLane.familiar.limit {
            #expect(await change(from: Fixture.password, to: "short") == "weak_password", "the right one is no guess")
        }
        for _ in 0..<GuessLane.familiar.limit {
            #expect(await change(from: "wrong", to: "a new password") == "invalid_credentials")
        }
        #expect(await change(from: Fixture.password, to: "a new password") == "invalid_credentials")
    }
}
