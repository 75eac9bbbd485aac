import ContractClients
import Contracts
import RPCCore
import ServiceKit
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Passwords that are good only beside a second factor.
@Suite(.everyEngine) struct ShortPasswordTests {
    private static let short = "otter lamp"
    private static let origin = Origin(address: "192.0.2.1", userAgent: "agent", requestID: "r")

    /// With NIST's lengths.
    private func fixture() async throws -> Fixture {
        let fixture = try await Fixture()
        fixture.passwords.set { ($0.minimum, $0.minimumWithSecondFactor) = (15, 8) }
        return fixture
    }

    /// A user with an app and a short password.
    private func shortened(_ fixture: Fixture) async throws -> Enrolment {
        let enrolled = try await Enrolment(fixture)
        try await change(enrolled, to: Self.short)
        fixture.clock.advance(by: .seconds(TOTP.period))
        _ = try await fixture.mails()
        _ = fixture.log.take()
        return enrolled
    }

    private func change(_ enrolled: Enrolment, from current: String = Fixture.password, to new: String) async throws {
        try await change(enrolled.fixture, enrolled.session, enrolled.user, from: current, to: new)
    }

    private func change(
        _ fixture: Fixture, _ session: AuthSessionTokens, _ user: AuthUser, from current: String = Fixture.password, to new: String
    ) async throws {
        var request = AuthChangePasswordRequest()
        request.currentPassword = current
        request.newPassword = new
        _ = try await fixture.client(session, user.userID).changePassword(request, CallOptions())
    }

    private func delete(_ id: String, _ enrolled: Enrolment) async throws {
        var request = AuthDeleteFactorRequest()
        request.factorID = id
        _ = try await enrolled.factors.deleteFactor(request, CallOptions())
    }

    private func factors(_ enrolled: Enrolment) async throws -> [AuthFactor] {
        try await enrolled.factors.listFactors(AuthListFactorsRequest(), CallOptions()).factors
    }

    private func begin(_ factors: FactorServiceClient, password: String) async throws -> AuthCreateFactorResponse {
        var request = AuthCreateFactorRequest()
        request.currentPassword = password
        request.name = "another phone"
        return try await factors.createFactor(request, CallOptions())
    }

    private func complete(_ enrolled: Enrolment, _ token: String) async throws -> AuthSessionTokens {
        var request = AuthCompleteSessionRequest()
        request.secondFactorToken = token
        request.code = try enrolled.code()
        return try await enrolled.fixture.factors().completeSession(request, CallOptions())
    }

    private func resetFactors(_ enrolled: Enrolment) async throws -> AuthAccount {
        var request = AuthResetFactorsRequest()
        request.userID = enrolled.user.userID
        return try await enrolled.fixture.operatorClient().resetFactors(request, CallOptions())
    }

    private func isShortOf(_ enrolled: Enrolment) async throws -> Int? {
        let user = enrolled.user.userID
        return try await enrolled.fixture.database.read { try $0.passwordIsShortOf(user) }
    }

    /// Which calls a sign-in that is refused made below, and how many statements.
    private func refused(_ fixture: Fixture, _ email: String, password: String) async throws -> [String] {
        _ = fixture.log.take()
        let before = fixture.database.statistics.statements
        #expect(await refusal { _ = try await fixture.signIn(email, password: password) } == "invalid_credentials")
        return fixture.log.take() + ["\(fixture.database.statistics.statements - before) statements"]
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: eight characters are enough beside a second factor that counts, and beside nothing else")
    func shorterBesideASecondFactor() async throws {
        let fixture = try await fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        #expect(await refusal { try await change(fixture, session, user, to: Self.short) } == "weak_password", "alone")
        _ = try await begin(fixture.factors(session, user.userID), password: Fixture.password)
        #expect(await refusal { try await change(fixture, session, user, to: Self.short) } == "weak_password", "an app that waits")
        let passkey = StoredPasskey(
            id: "psk_1", userID: user.userID, credentialID: [1], publicKey: [2], signCount: 0, isSynced: false, name: "laptop",
            createdAt: fixture.clock.now, lastUsedAt: nil)
        try await fixture.handler.store.add(passkey, session: session.sessionID, Self.origin)
        #expect(await refusal { try await change(fixture, session, user, to: Self.short) } == "weak_password", "a passkey")
        // Who has one shows it to enrol an app, which is not what this is about.
        try await fixture.handler.store.deletePasskey(
            passkey.id, of: user.userID, keeping: session.sessionID, Self.origin)
        #expect(await refusal { try await fixture.register("eve@example.com", password: Self.short) } == "weak_password")

        let enrolled = try await Enrolment(fixture, user, session)
        #expect(await refusal { try await change(enrolled, to: "otter l") } == "weak_password", "seven")
        _ = fixture.log.take()
        try await change(enrolled, to: Self.short)
        #expect(fixture.log.take() == ["verify", "check", "hash"], "asked once")
        #expect(try await isShortOf(enrolled) == 15)
        try await change(enrolled, from: Self.short, to: Fixture.password)
        #expect(try await isShortOf(enrolled) == nil, "this one is enough by itself")
        try await fixture.requestReset(user.email)
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: Self.short)
        #expect(try await isShortOf(enrolled) == 15, "so is a reset judged")
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: a short password signs in with the second factor alone, and a rehash does not lengthen it")
    func itSignsInBesideTheFactor() async throws {
        let fixture = try await fixture()
        let enrolled = try await shortened(fixture)
        fixture.passwords.set { $0.rounds = 13 }
        let begun = try await fixture.signIn(password: Self.short)
        #expect(begun.accessToken.isEmpty && fixture.log.take() == ["verify", "hash"])
        #expect(try await !complete(enrolled, begun.secondFactorToken).accessToken.isEmpty)
        #expect(try await fixture.signIn(password: Self.short).accessToken.isEmpty)
        #expect(fixture.log.take() == ["sign", "verify"], "rehashed")
        #expect(try await isShortOf(enrolled) == 15)
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: the last second factor stays while the password counts only with one")
    func theLastFactorStays() async throws {
        let fixture = try await fixture()
        let enrolled = try await shortened(fixture)
        let first = try await factors(enrolled)[0].factorID
        let waiting = try await begin(enrolled.factors, password: Self.short).factorID
        let error = await #expect(throws: RPCError.self) { try await delete(first, enrolled) }
        #expect(error?.code == .failedPrecondition && error?.reason == "password_needs_factor")
        #expect(error?.message.hasPrefix("Choose a password of at least 15 characters first") == true)
        #expect(try await fixture.handler.store.recoveryCodesLeft(enrolled.user.userID) == 10)
        #expect(try await fixture.mails().isEmpty)
        try await delete(waiting, enrolled)
        #expect(try await factors(enrolled).map(\.factorID) == [first], "one that waits does not count")

        try await enrolled.stepUp(enrolled.code())
        let store = fixture.handler.store
        try await addFactor("fac_second", to: enrolled.user.userID, store, session: enrolled.session.sessionID, fixture.clock.now)
        try await delete(first, enrolled)
        #expect(await refusal { try await delete("fac_second", enrolled) } == "password_needs_factor", "now this is the last")
        try await change(enrolled, from: Self.short, to: "otter lamp violin")
        try await delete("fac_second", enrolled)
        #expect(try await !fixture.signIn(password: "otter lamp violin").accessToken.isEmpty)
    }

    @Test(
        "NIST SP 800-63B-4 3.1.1.2, ASVS 6.3.8: without the factors a short password is as good as a wrong one, and mail helps")
    func anOperatorsResetRevokesIt() async throws {
        let fixture = try await fixture()
        let enrolled = try await shortened(fixture)
        _ = try await fixture.member("eve@example.com")
        let begun = try await fixture.signIn(password: Self.short)
        let credentials = try #require(try await fixture.handler.store.credentials(userID: enrolled.user.userID))
        let hash = try #require(credentials.passwordHash)
        _ = try await fixture.mails()
        #expect(try await !resetFactors(enrolled).secondFactor)
        #expect(try await Set(fixture.mails().map(\.template)) == [.secondFactorChanged, .passwordNeeded])
        let trail = try await fixture.audit().suffix(2)
        #expect(Set(trail) == ["authn_factors_reset", "authn_password_revoked"])
        _ = try await resetFactors(enrolled)
        #expect(try await fixture.mails().isEmpty, "told once")

        // What was begun before ends, too; and what is begun with a password that was looked at before.
        #expect(await refusal { _ = try await complete(enrolled, begun.secondFactorToken) } == "invalid_second_factor_token")
        let late = Challenge(token: try OpaqueToken(.challenge), userID: enrolled.user.userID)
        await #expect(throws: AuthError.invalidCredentials) {
            try await fixture.handler.store.begin(late, verified: hash, rehash: nil, Self.origin)
        }
        let right = try await refused(fixture, enrolled.user.email, password: Self.short)
        #expect(right.first == "verify")
        #expect(try await refused(fixture, enrolled.user.email, password: "a wrong password") == right)
        #expect(try await refused(fixture, "nobody@example.com", password: "a wrong password") == right)
        #expect(await refusal { _ = try await begin(enrolled.factors, password: Self.short) } == "invalid_credentials")
        #expect(await refusal { try await change(enrolled, from: Self.short, to: Fixture.password) } == "invalid_credentials")

        try await fixture.requestReset(enrolled.user.email)
        let link = try await fixture.mailedToken(.passwordReset)
        #expect(await refusal { try await fixture.reset(link, to: Self.short) } == "weak_password")
        try await fixture.reset(link, to: "otter lamp violin")
        #expect(try await !fixture.signIn(password: "otter lamp violin").accessToken.isEmpty)
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: a password that is enough by itself outlives the factors, and nobody is told otherwise")
    func aLongOneStays() async throws {
        let fixture = try await fixture()
        let enrolled = try await Enrolment(fixture)
        _ = try await resetFactors(enrolled)
        #expect(try await !fixture.mails().map(\.template).contains(.passwordNeeded))
        #expect(try await !fixture.audit().contains("authn_password_revoked"))
        #expect(try await !fixture.signIn().accessToken.isEmpty)
        // Of imported passwords nobody knows the length.
        let hash = "$2b$12$" + String(repeating: "a", count: 53)
        let line = try ImportedUser(json: Array(#"{"email":"eve@example.com","password_hash":"\#(hash)"}"#.utf8)[...])
        #expect(try await fixture.handler.store.importUsers([line], from: "file").added == 1)
        let eve = try await fixture.database.read { try $0.credentials(EmailAddress("eve@example.com")) }
        #expect(eve?.passwordHash?.exposed == hash)
    }

    /// As an auth process of the version before would, or a hand in the database.
    @Test("NIST SP 800-63B-4 3.1.1.2: however the factors were lost, a short password alone signs nobody in")
    func itIsNeverEnough() async throws {
        let fixture = try await fixture()
        let enrolled = try await shortened(fixture)
        try await fixture.database.write { _ = try $0.execute("DELETE FROM factors") }
        let right = try await refused(fixture, enrolled.user.email, password: Self.short)
        #expect(try await refused(fixture, enrolled.user.email, password: "a wrong password") == right)
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: a factor that is removed while a short password is being chosen wins")
    func theTransactionLooksAgain() async throws {
        let fixture = try await fixture()
        let enrolled = try await Enrolment(fixture)
        let store = fixture.handler.store
        let credentials = try #require(try await store.credentials(userID: enrolled.user.userID))
        let old = try #require(credentials.passwordHash)
        try await fixture.requestReset(enrolled.user.email)
        let link = try await fixture.mailedToken(.passwordReset)
        try await delete(factors(enrolled)[0].factorID, enrolled)
        let new = NewPassword(hash: Redacted("$2b$12$short"), shortOf: 15)
        let weak = AuthError.weakPassword(field: "new_password", reasons: ["Use at least 15 characters."])
        await #expect(throws: weak) {
            try await store.changePassword(
                of: enrolled.user.userID, from: old, to: new, keeping: enrolled.session.sessionID, Self.origin)
        }
        let token = try #require(OpaqueToken(link, .passwordReset))
        await #expect(throws: weak) { try await store.resetPassword(token, to: new, Self.origin) }
        #expect(try await !fixture.signIn().accessToken.isEmpty, "the password is what it was")
        try await fixture.reset(link, to: "otter lamp violin")
    }

    @Test("NIST SP 800-63B-4 3.1.1.2: of two processes, one shortens the password or the other removes its factor; never both")
    func oneOfTwoProcessesWins() async throws {
        let fixture = try await fixture()
        let user = try await fixture.member().userID
        let session = try await fixture.signIn().sessionID
        let (mine, other) = (fixture.handler.store, try await fixture.secondProcess().handler.store)
        let long = NewPassword(hash: Redacted("$2b$12$long"), shortOf: nil)
        let short = NewPassword(hash: Redacted("$2b$12$short"), shortOf: 15)
        var present = try #require(try await mine.credentials(userID: user)?.passwordHash)
        for round in 0..<20 {
            let factor = "fac_\(round)"
            try await addFactor(factor, to: user, mine, session: session, fixture.clock.now)
            let old = present
            async let shortened = failure { try await mine.changePassword(of: user, from: old, to: short, keeping: session, Self.origin) }
            async let removed = failure { try await other.deleteFactor(factor, of: user, keeping: session, Self.origin) }
            let (change, removal) = (await shortened, await removed)
            switch (change, removal) {
            case (nil, .passwordNeedsFactor(minimum: 15)):
                try await mine.changePassword(of: user, from: short.hash, to: long, keeping: session, Self.origin)
                present = long.hash
                try await other.deleteFactor(factor, of: user, keeping: session, Self.origin)
            case (.weakPassword, nil):
                break
            default:
                Issue.record("round \(round): \(String(describing: change)), \(String(describing: removal))")
                return
            }
        }
    }

    @Test func anEncryptionOfTheVersionBeforeIsAskedAsItWas() async throws {
        let fixture = try await fixture()
        let enrolled = try await Enrolment(fixture)
        fixture.passwords.set { $0.isOfTheVersionBefore = true }
        _ = fixture.log.take()
        #expect(await refusal { try await change(enrolled, to: Self.short) } == "weak_password")
        #expect(fixture.log.take() == ["verify", "check", "check"])
        try await change(enrolled, to: "otter lamp violin")
        #expect(try await isShortOf(enrolled) == nil)
    }

    private func addFactor(_ id: String, to user: String, _ store: AuthStore, session: String, _ now: Timestamp) async throws {
        let factor = Factor(
            id: id, name: "phone", sealedSecret: [1], createdAt: now, confirmedAt: nil, lastUsedAt: nil, lastStep: 0)
        try await store.addFactor(factor, user: user, Self.origin)
        _ = try await store.confirmFactor(id, step: 1, codes: [], of: user, keeping: session, Self.origin)
    }

    private func failure(_ body: () async throws -> Void) async -> AuthError? {
        do {
            try await body()
            return nil
        } catch let error as AuthError {
            return error
        } catch {
            Issue.record(error)
            return nil
        }
    }
}
