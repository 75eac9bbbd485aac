import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Authenticator apps and recovery codes: enrolling, signing in, stepping up.
@Suite(.everyEngine) struct SecondFactorTests {
    /// A user with an app.
    private struct Enrolled {
        let user: AuthUser
        let secret: [UInt8]
        let codes: [String]
        let session: AuthSessionTokens
        let factors: FactorServiceClient
    }

    private func enrol(_ fixture: Fixture, _ email: String = "ada@example.com") async throws -> Enrolled {
        let user = try await fixture.member(email)
        let session = try await fixture.signIn(email)
        let factors = try fixture.factors(session, user.userID)
        let created = try await create(factors)
        let secret = decoded(created.secret)
        var confirm = AuthConfirmFactorRequest()
        confirm.factorID = created.factorID
        confirm.code = try code(secret, fixture)
        let codes = try await factors.confirmFactor(confirm, CallOptions()).recoveryCodes
        // The step of the confirmation is used up.
        fixture.clock.advance(by: .seconds(TOTP.period))
        _ = try await fixture.mails()
        return Enrolled(user: user, secret: secret, codes: codes, session: session, factors: factors)
    }

    private func create(_ factors: FactorServiceClient, password: String = Fixture.password) async throws -> AuthCreateFactorResponse {
        var request = AuthCreateFactorRequest()
        request.currentPassword = password
        request.name = "phone"
        return try await factors.createFactor(request, CallOptions())
    }

    private func decoded(_ text: String) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let bits = text.flatMap { character in
            let value = alphabet.firstIndex(of: character) ?? 0
            return (0..<5).map { value >> (4 - $0) & 1 }
        }
        return (0..<(bits.count / 8)).map { byte in bits[(8 * byte)..<(8 * byte + 8)].reduce(UInt8(0)) { $0 << 1 | UInt8($1) } }
    }

    private func code(_ secret: [UInt8], _ fixture: Fixture, offset: Int64 = 0) throws -> String {
        try TOTP.code(secret, step: TOTP.step(at: fixture.clock.now) + offset)
    }

    private func wrong(_ secret: [UInt8], _ fixture: Fixture) throws -> String {
        let good = try (-1...1).map { try code(secret, fixture, offset: $0) }
        return try #require(["000000", "111111", "222222", "333333"].first { !good.contains($0) })
    }

    private func complete(
        _ fixture: Fixture, _ token: String, _ code: String, handler: AuthHandler? = nil
    ) async throws -> AuthSessionTokens {
        var request = AuthCompleteSessionRequest()
        request.secondFactorToken = token
        request.code = code
        return try await fixture.factors(handler: handler).completeSession(request, CallOptions())
    }

    private func signIn(_ fixture: Fixture, _ code: String) async throws -> AuthSessionTokens {
        try await complete(fixture, fixture.signIn().secondFactorToken, code)
    }

    private func stepUp(_ enrolled: Enrolled, _ code: String) async throws {
        var request = AuthStepUpRequest()
        request.code = code
        _ = try await enrolled.factors.stepUp(request, CallOptions())
    }

    @Test("ASVS 6.3.3: with a second factor the password alone signs nobody in")
    func thePasswordAloneIsNotEnough() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        let other = try await fixture.signIn()
        let factors = try fixture.factors(session, user.userID)
        let created = try await create(factors)
        #expect(created.uri.hasPrefix("otpauth://totp/Lockstep:ada%40example.com?secret=\(created.secret)&"))
        #expect(try await !fixture.signIn().accessToken.isEmpty, "not before it is confirmed")
        var confirm = AuthConfirmFactorRequest()
        confirm.factorID = created.factorID
        confirm.code = "000000"
        #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "invalid_second_factor")
        let secret = decoded(created.secret)
        confirm.code = try code(secret, fixture)
        let codes = try await factors.confirmFactor(confirm, CallOptions()).recoveryCodes
        #expect(codes.count == 10 && Set(codes).count == 10)
        #expect(try await fixture.isLive(session.sessionID))
        #expect(try await !fixture.isLive(other.sessionID), "sessions from before had shown the password alone")
        #expect(try await fixture.mails().map(\.template).contains(.secondFactorChanged))
        let challenge = try await fixture.signIn()
        #expect(challenge.accessToken.isEmpty && challenge.refreshToken.isEmpty && challenge.sessionID.isEmpty)
        #expect(challenge.secondFactorToken.hasPrefix("lsc_") && challenge.secondFactorExpiresIn == 300)
        #expect(await refusal { _ = try await fixture.signIn(password: "wrong") } == "invalid_credentials")
        fixture.clock.advance(by: .seconds(TOTP.period))
        let tokens = try await complete(fixture, challenge.secondFactorToken, code(secret, fixture))
        #expect(!tokens.accessToken.isEmpty)
        #expect(try await fixture.isLive(tokens.sessionID))
        _ = try await fixture.refresh(tokens.refreshToken)
        let list = try await factors.listFactors(AuthListFactorsRequest(), CallOptions())
        #expect(list.factors.map(\.name) == ["phone"] && list.factors[0].confirmed && list.recoveryCodesLeft == 10)
    }

    @Test("RFC 6238 5.2, ASVS 6.5.1: a code signs in once, also of many at once in two processes")
    func aCodeWorksOnce() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let second = try await fixture.secondProcess()
        let code = try code(enrolled.secret, fixture)
        // Few enough that the losers do not use up the guesses.
        var challenges: [String] = []
        for _ in 0..<3 { challenges.append(try await fixture.signIn().secondFactorToken) }
        let winners = await withTaskGroup(of: Bool.self) { group in
            for (index, challenge) in challenges.enumerated() {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    await refusal { _ = try await complete(fixture, challenge, code, handler: handler) } == nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
        #expect(await refusal { _ = try await signIn(fixture, code) } == "invalid_second_factor")
        #expect(
            await refusal { _ = try await signIn(fixture, self.code(enrolled.secret, fixture, offset: -1)) }
                == "invalid_second_factor", "nor one from before")
        _ = try await signIn(fixture, self.code(enrolled.secret, fixture, offset: 1))
    }

    @Test("ASVS 6.5.5: codes are good for one step before and after, and no longer")
    func theClocksOfPhonesDiffer() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        fixture.clock.advance(by: .seconds(10 * TOTP.period))
        for offset in [-2, 2] as [Int64] {
            let code = try code(enrolled.secret, fixture, offset: offset)
            #expect(await refusal { _ = try await signIn(fixture, code) } == "invalid_second_factor")
        }
        for offset in [-1, 0, 1] as [Int64] { _ = try await signIn(fixture, code(enrolled.secret, fixture, offset: offset)) }
    }

    @Test("ASVS 6.5.1: a recovery code signs in once; new ones end the old")
    func recoveryCodesWorkOnce() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let second = try await fixture.secondProcess()
        var challenges: [String] = []
        for _ in 0..<AuthPolicy.challengesAtOnce { challenges.append(try await fixture.signIn().secondFactorToken) }
        let winners = await withTaskGroup(of: Bool.self) { group in
            for (index, challenge) in challenges.enumerated() {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    await refusal { _ = try await complete(fixture, challenge, enrolled.codes[0], handler: handler) } == nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
        for code in enrolled.codes.dropFirst().prefix(2) { _ = try await signIn(fixture, code.lowercased()) }
        let list = try await enrolled.factors.listFactors(AuthListFactorsRequest(), CallOptions())
        #expect(list.recoveryCodesLeft == 7)
        let fresh = try await enrolled.factors.createRecoveryCodes(AuthCreateRecoveryCodesRequest(), CallOptions())
        #expect(fresh.recoveryCodes.count == 10)
        #expect(await refusal { _ = try await signIn(fixture, enrolled.codes[5]) } == "invalid_second_factor")
        _ = try await signIn(fixture, fresh.recoveryCodes[0])
    }

    @Test("ASVS 6.5.2: nothing at rest is a code or a secret")
    func nothingAtRestIsOfUse() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let rows = try await fixture.database.read { connection in
            try connection.query("SELECT sealed_secret AS bytes FROM factors") { try $0.get("bytes", as: [UInt8].self) }
                + connection.query("SELECT code_hash AS bytes FROM recovery_codes") { try $0.get("bytes", as: [UInt8].self) }
        }
        #expect(rows.count == 11)
        for row in rows {
            #expect(!row.contains(enrolled.secret))
            for code in enrolled.codes { #expect(!row.contains(Array(code.replacing("-", with: "").utf8))) }
        }
        // A secret that is copied into another row does not open there.
        let eve = try await enrol(fixture, "eve@example.com")
        try await fixture.database.write { transaction in
            _ = try transaction.execute(
                """
                UPDATE factors SET sealed_secret = (SELECT sealed_secret FROM factors WHERE user_id = :eve)
                WHERE user_id = :ada
                """, ["eve": eve.user.userID, "ada": enrolled.user.userID])
        }
        let code = try code(eve.secret, fixture)
        #expect(await refusal { _ = try await signIn(fixture, code) } != nil)
        #expect(try await fixture.handler.store.sessions(of: enrolled.user.userID).count == 1)
    }

    @Test("NIST SP 800-63B-4 3.2.2: wrong codes slow down and end at a hundred in a row; a recovery code still works")
    func guessesAreLimited() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        var looked = 0
        func isRefused(_ code: String) async -> Bool {
            await refusal { _ = try await signIn(fixture, code) } == "invalid_second_factor"
        }
        while looked < CodeLimit.most {
            for _ in 0..<CodeLimit.burst {
                #expect(await isRefused(try wrong(enrolled.secret, fixture)))
                looked += 1
            }
            #expect(await isRefused(try code(enrolled.secret, fixture)), "the right one, too early")
            fixture.clock.advance(by: CodeLimit.pause)
        }
        #expect(await isRefused(try code(enrolled.secret, fixture)), "after a hundred no app helps")
        _ = try await signIn(fixture, enrolled.codes[0])
        _ = try await signIn(fixture, code(enrolled.secret, fixture))
    }

    @Test("ASVS 6.3.1: parallel guesses of a code are counted one by one, in two processes")
    func manyAtOnceAreNoWayAround() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let second = try await fixture.secondProcess()
        let challenge = try await fixture.signIn().secondFactorToken
        let code = try wrong(enrolled.secret, fixture)
        let before = fixture.cipher.opened
        await withDiscardingTaskGroup { group in
            for index in 0..<50 {
                let handler = index.isMultiple(of: 2) ? fixture.handler : second.handler
                group.addTask {
                    let reason = await refusal { _ = try await complete(fixture, challenge, code, handler: handler) }
                    #expect(reason == "invalid_second_factor")
                }
            }
        }
        #expect(fixture.cipher.opened - before == CodeLimit.burst, "so many were looked at")
    }

    @Test func anOutageIsNoGuess() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let challenge = try await fixture.signIn().secondFactorToken
        fixture.cipher.set(down: true)
        for _ in 0...CodeLimit.burst {
            #expect(await refusal { _ = try await complete(fixture, challenge, "000000") } == "unavailable")
        }
        fixture.cipher.set(down: false)
        _ = try await complete(fixture, challenge, code(enrolled.secret, fixture))
    }

    @Test("ASVS 6.4.3: a reset of the password skips no second factor")
    func aResetDoesNotSkipIt() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let waiting = try await fixture.signIn().secondFactorToken
        try await fixture.requestReset("ada@example.com")
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: "a new password")
        let fresh = try code(enrolled.secret, fixture)
        #expect(
            await refusal { _ = try await complete(fixture, waiting, fresh) } == "invalid_second_factor_token",
            "what was begun with the old password is over")
        let challenge = try await fixture.signIn(password: "a new password")
        #expect(challenge.accessToken.isEmpty)
        _ = try await complete(fixture, challenge.secondFactorToken, fresh)
    }

    @Test func aWaitingSignInEndsInTimeAndWorksOnce() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let late = try await fixture.signIn().secondFactorToken
        fixture.clock.advance(by: AuthPolicy.challengeLifetime)
        let first = try code(enrolled.secret, fixture)
        #expect(await refusal { _ = try await complete(fixture, late, first) } == "invalid_second_factor_token")
        let token = try await fixture.signIn().secondFactorToken
        _ = try await complete(fixture, token, first)
        fixture.clock.advance(by: .seconds(TOTP.period))
        let next = try code(enrolled.secret, fixture)
        #expect(await refusal { _ = try await complete(fixture, token, next) } == "invalid_second_factor_token")
        #expect(await refusal { _ = try await complete(fixture, "lsc_nonsense", next) } == "invalid_second_factor_token")
        let disabled = try await fixture.signIn().secondFactorToken
        _ = try await fixture.handler.store.disable(
            enrolled.user.userID, by: .operator, Origin(address: "", userAgent: "", requestID: "r"))
        #expect(await refusal { _ = try await complete(fixture, disabled, next) } == "invalid_second_factor_token")
    }

    @Test("ASVS 7.5.1: what changes the account needs a second factor shown lately in this session")
    func stepUpIsNeeded() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let client = try fixture.client(enrolled.session, enrolled.user.userID)
        func changePassword() async -> String? {
            var request = AuthChangePasswordRequest()
            request.currentPassword = Fixture.password
            request.newPassword = Fixture.password
            return await refusal { _ = try await client.changePassword(request, CallOptions()) }
        }
        let account = try fixture.account(enrolled.session, enrolled.user.userID)
        func changeAddress() async -> String? {
            let request = AuthChangeAddressRequest.with { ($0.email, $0.currentPassword) = ("new@example.com", Fixture.password) }
            return await refusal { _ = try await account.changeAddress(request, CallOptions()) }
        }
        func export() async -> String? { await refusal { _ = try await account.exportUserData(.init(), CallOptions()) } }
        func deletion() async -> String? {
            await refusal { _ = try await account.deleteUser(.with { $0.currentPassword = Fixture.password }, CallOptions()) }
        }
        #expect(await changePassword() == nil, "enrolling was showing it")
        fixture.clock.advance(by: .seconds(900))
        #expect(await changePassword() == "step_up_required")
        #expect(await changeAddress() == "step_up_required")
        #expect(await export() == "step_up_required")
        #expect(await deletion() == "step_up_required")
        await #expect {
            _ = try await account.exportUserData(.init(), CallOptions())
        } throws: { error in
            (error as? RPCError)?.message
                == "Show a second factor first: a code of your app or a recovery code (POST /v1/sessions/current/second-factors)."
        }
        #expect(await refusal { _ = try await create(enrolled.factors) } == "step_up_required")
        #expect(
            await refusal { _ = try await enrolled.factors.createRecoveryCodes(.init(), CallOptions()) } == "step_up_required")
        let list = try await enrolled.factors.listFactors(AuthListFactorsRequest(), CallOptions())
        var delete = AuthDeleteFactorRequest()
        delete.factorID = list.factors[0].factorID
        #expect(await refusal { _ = try await enrolled.factors.deleteFactor(delete, CallOptions()) } == "step_up_required")
        #expect(await refusal { try await stepUp(enrolled, wrong(enrolled.secret, fixture)) } == "invalid_second_factor")
        try await stepUp(enrolled, code(enrolled.secret, fixture))
        #expect(await changePassword() == nil)
        #expect(await changeAddress() == nil)
        #expect(await export() == nil)
        // A second step at sign-in counts as well.
        fixture.clock.advance(by: .seconds(900))
        let fresh = try await signIn(fixture, code(enrolled.secret, fixture))
        _ = try await fixture.factors(fresh, enrolled.user.userID).createRecoveryCodes(.init(), CallOptions())
        #expect(await changePassword() == "step_up_required", "this session has shown none")
        #expect(await deletion() == "step_up_required", "nor for the end of the account")
        let shown = try fixture.account(fresh, enrolled.user.userID)
        _ = try await shown.deleteUser(.with { $0.currentPassword = Fixture.password }, CallOptions())
    }

    @Test("ASVS 7.5.1: a factor that waits for its first code is no way around the step-up")
    func aWaitingFactorIsNoStepUp() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        try await stepUp(enrolled, code(enrolled.secret, fixture))
        let waiting = try await create(enrolled.factors)
        fixture.clock.advance(by: .seconds(3600))
        var confirm = AuthConfirmFactorRequest()
        confirm.factorID = waiting.factorID
        confirm.code = try code(decoded(waiting.secret), fixture)
        #expect(await refusal { _ = try await enrolled.factors.confirmFactor(confirm, CallOptions()) } == "step_up_required")
    }

    @Test("NIST SP 800-63B-4 3.2.2: wrong codes for a factor that waits are counted, too")
    func guessesAtAWaitingFactorAreCounted() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let factors = try fixture.factors(try await fixture.signIn(), user.userID)
        let waiting = try await create(factors)
        var confirm = AuthConfirmFactorRequest()
        confirm.factorID = waiting.factorID
        confirm.code = try wrong(decoded(waiting.secret), fixture)
        for _ in 0..<CodeLimit.burst {
            #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "invalid_second_factor")
        }
        confirm.code = try code(decoded(waiting.secret), fixture)
        #expect(await refusal { _ = try await factors.confirmFactor(confirm, CallOptions()) } == "invalid_second_factor")
        fixture.clock.advance(by: CodeLimit.pause)
        let next = try await create(factors)
        confirm.factorID = next.factorID
        confirm.code = try code(decoded(next.secret), fixture)
        #expect(try await factors.confirmFactor(confirm, CallOptions()).recoveryCodes.count == 10)
    }

    @Test func removingTheLastFactorTakesTheRecoveryCodesWithIt() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let list = try await enrolled.factors.listFactors(AuthListFactorsRequest(), CallOptions())
        var delete = AuthDeleteFactorRequest()
        delete.factorID = list.factors[0].factorID
        let eve = try await fixture.member("eve@example.com")
        let eves = try await fixture.factors(fixture.signIn("eve@example.com"), eve.userID)
        #expect(await refusal { _ = try await eves.deleteFactor(delete, CallOptions()) } == "factor_not_found")
        _ = try await enrolled.factors.deleteFactor(delete, CallOptions())
        #expect(try await fixture.handler.store.recoveryCodesLeft(enrolled.user.userID) == 0)
        #expect(try await !fixture.signIn().accessToken.isEmpty)
        #expect(await refusal { _ = try await enrolled.factors.deleteFactor(delete, CallOptions()) } == "factor_not_found")
    }

    @Test("ASVS 6.4.4: who lost every factor is helped by an admin")
    func anAdminResets() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        var request = AuthResetFactorsRequest()
        request.userID = enrolled.user.userID
        #expect(await refusal { _ = try await fixture.admin().resetFactors(request, CallOptions()) } == "user_needed", "no client")
        let eve = try await fixture.member("eve@example.com")
        let admin = try await fixture.admin(eve.userID, fixture.signIn("eve@example.com"))
        let account = try await admin.resetFactors(request, CallOptions())
        #expect(!account.secondFactor)
        #expect(try await !fixture.isLive(enrolled.session.sessionID))
        #expect(try await !fixture.signIn().accessToken.isEmpty)
        #expect(try await fixture.mails().map(\.template).contains(.secondFactorChanged))
    }

    @Test func anAdminWithASecondFactorShowsIt() async throws {
        let fixture = try await Fixture()
        let enrolled = try await enrol(fixture)
        let eve = try await fixture.member("eve@example.com")
        var request = AuthDisableUserRequest()
        request.userID = eve.userID
        let admin = try fixture.admin(enrolled.user.userID)
        #expect(await refusal { _ = try await admin.disableUser(request, CallOptions()) } == "step_up_required")
    }

    /// Whoever found a session open does not lock its owner out.
    @Test func enrollingNeedsThePassword() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let factors = try await fixture.factors(fixture.signIn(), user.userID)
        #expect(await refusal { _ = try await create(factors, password: "wrong") } == "invalid_credentials")
        for _ in 0..<3 { _ = try await create(factors) }
        let list = try await factors.listFactors(AuthListFactorsRequest(), CallOptions())
        #expect(list.factors.count == 1, "one waits, whatever was begun before")
    }
}
