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

    /// - Parameter rests: whether it waits for each pause to be over.
    private func guess(
        _ fixture: Fixture, _ count: Int, rests: Bool = true, from network: (Int) -> String = { "198.51.100.\($0 % 250)" }
    ) async throws {
        for number in 0..<count {
            let origin = network(number)
            #expect(
                await refusal { _ = try await fixture.signIn(address, password: "wrong \(number)", from: origin) }
                    == "invalid_credentials")
            if rests, number % GuessLane.burst == GuessLane.burst - 1 { fixture.clock.advance(by: GuessLane.longestPause) }
        }
    }

    private func isLockedOut(_ fixture: Fixture, from origin: String) async -> Bool {
        await refusal { _ = try await fixture.signIn(address, from: origin) } == "invalid_credentials"
    }

    @Test("NIST SP 800-63B-4 3.2.2: at most 100 failures in a row")
    func theLimitsAreNISTsTogether() {
        #expect(GuessLane.stranger.limit + GuessLane.familiar.limit + GuessLane.session.limit == 100)
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

    @Test("ASVS 6.1.1, 6.3.1: before a lock come pauses of minutes, then hours, wherever the guesses come from; then one mail")
    func pausesComeBeforeTheLock() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.mails()
        let start = fixture.clock.now
        for (ten, minutes) in [1, 4, 16, 64, 256].enumerated() {
            try await guess(fixture, GuessLane.burst, rests: false) { "198.51.\(ten).\($0)" }
            fixture.clock.advance(by: .seconds(minutes * 60 - 1))
            #expect(await isLockedOut(fixture, from: "203.0.113.\(ten)"), "not yet, after \(10 * (ten + 1)) wrong ones")
            fixture.clock.advance(by: .seconds(1))
        }
        #expect(fixture.clock.now == start + .seconds(341 * 60))
        #expect(try await fixture.mails().filter { $0.template == .passwordLocked }.isEmpty)
        try await guess(fixture, GuessLane.burst, rests: false)
        let mails = try await fixture.mails().filter { $0.template == .passwordLocked }
        #expect(mails.map(\.to) == ["ada@example.com"] && mails.first?.variables["address"] == "198.51.100.9")
        #expect(try await fixture.audit().count { $0 == "authn_login_fail" } == strangers, "none is looked at in a pause")
        for _ in 0..<3 { #expect(await isLockedOut(fixture, from: "203.0.113.1")) }
        #expect(try await fixture.mails().isEmpty)
    }

    @Test("ASVS 6.1.1: a pause that is over lets the owner in, from anywhere")
    func aPauseEnds() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await guess(fixture, GuessLane.burst, rests: false)
        #expect(await isLockedOut(fixture, from: "203.0.113.1"))
        fixture.clock.advance(by: .seconds(60))
        fixture.tokens.set(down: true)
        #expect(await refusal { _ = try await fixture.signIn(from: "203.0.113.1") } == "unavailable")
        fixture.tokens.set(down: false)
        _ = try await fixture.signIn(from: "203.0.113.1")
    }

    @Test("ASVS 6.3.8: a password that is not looked at is compared with nobody's, so that the time tells nothing of it")
    func aClosedLaneLooksAtNoPassword() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let dummy = try await fixture.handler.passwords.dummyHash().exposed
        try await guess(fixture, GuessLane.burst, rests: false)
        #expect(fixture.passwords.askedHash != dummy)
        #expect(await isLockedOut(fixture, from: home))
        #expect(fixture.passwords.askedHash == dummy)
    }

    @Test("ASVS 6.3.8: a guess that is refused is written down as one that is counted: a lane that is closed shows no shorter wait")
    func aClosedLaneCommitsAsMuch() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        try await guess(fixture, GuessLane.burst, rests: false)
        try await guess(fixture, 3, rests: false)

        let row = try await fixture.database.read { transaction in
            try transaction.one("SELECT in_a_row, refused FROM guesses WHERE lane = 'stranger'") {
                (try $0.get("in_a_row") as Int, try $0.get("refused") as Int)
            }
        }
        #expect(row == (GuessLane.burst, 3))
    }

    @Test("ASVS 6.1.1: a familiar network that has used its guesses up goes on as any other, and has a limit there, too")
    func aFamiliarNetworkGoesOnAsAStranger() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        _ = try await fixture.signIn(from: "2001:db8:1:2::1")
        try await guess(fixture, GuessLane.familiar.limit) { "2001:db8:1:2::\($0 + 2)" }
        _ = try await fixture.signIn(from: "2001:db8:1:2::1")
        try await guess(fixture, GuessLane.familiar.limit + strangers) { "2001:db8:1:2::\($0 + 2)" }
        #expect(await isLockedOut(fixture, from: "2001:db8:1:2::1"))
        #expect(await isLockedOut(fixture, from: home))
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

    @Test("ASVS 6.1.1, 6.3.1: of parallel guesses so many are verified as may come before a pause")
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
        #expect(events.count { $0 == "authn_login_fail" } == GuessLane.burst)
        #expect(events.count { $0 == "authn_login_lock" } == 150 - GuessLane.burst)
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
                if number % GuessLane.burst == GuessLane.burst - 1 { fixture.clock.advance(by: GuessLane.longestPause) }
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
        for _ in 0...GuessLane.session.limit {
            #expect(await change(from: Fixture.password, to: "short") == "weak_password", "the right one is no guess")
        }
        for number in 0..<GuessLane.session.limit {
            #expect(await change(from: "wrong", to: "a new password") == "invalid_credentials")
            if number == GuessLane.burst - 1 { fixture.clock.advance(by: .seconds(60)) }
        }
        #expect(await change(from: Fixture.password, to: "a new password") == "invalid_credentials")
    }
}
