import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// What access tokens say of how, how well and when their user was authenticated.
@Suite(.everyEngine) struct AuthenticationTests {
    private static let password = "https://lockstep.local/acr/aal1"
    private static let twoFactors = "https://lockstep.local/acr/aal2"

    private func seconds(_ fixture: Fixture) -> Int64 { fixture.clock.now.microseconds / 1_000_000 }

    @Test("OpenID Connect Core 1.0 2, RFC 8176: a session remembers how and when its user was authenticated")
    func theTokenSaysHowAndWhen() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let begun = seconds(fixture)
        let session = try await fixture.signIn()
        var token = fixture.tokens.newest
        #expect(token.amr == ["pwd"] && token.acr == Self.password && token.authTime == begun)
        fixture.clock.advance(by: .seconds(600))
        _ = try await fixture.refresh(session.refreshToken)
        token = fixture.tokens.newest
        #expect(token.amr == ["pwd"] && token.acr == Self.password && token.authTime == begun, "a refresh shows nothing new")
    }

    @Test("OpenID Connect Core 1.0 2, RFC 8176: two factors are aal2, whichever code was the second")
    func twoFactorsAreASecondLevel() async throws {
        let fixture = try await Fixture()
        let enrolled = try await Enrolment(fixture)
        fixture.clock.advance(by: .seconds(40))
        _ = try await enrolled.signIn(enrolled.code())
        var token = fixture.tokens.newest
        #expect(token.amr == ["pwd", "otp", "mfa"] && token.acr == Self.twoFactors && token.authTime == seconds(fixture))
        _ = try await enrolled.signIn(enrolled.recoveryCodes[0])
        token = fixture.tokens.newest
        #expect(token.amr == ["pwd", "otp", "mfa"] && token.acr == Self.twoFactors, "a recovery code is a password used once")
    }

    @Test("RFC 9470 4: a step-up changes acr and auth_time in the next token, and in that session's alone")
    func aStepUpIsInTheNextToken() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let session = try await fixture.signIn()
        fixture.clock.advance(by: .seconds(50))
        let enrolled = try await Enrolment(fixture, user, session)
        let confirmed = seconds(fixture)
        var next = try await fixture.refresh(session.refreshToken)
        var token = fixture.tokens.newest
        #expect(token.amr == ["pwd", "otp", "mfa"] && token.acr == Self.twoFactors && token.authTime == confirmed)
        fixture.clock.advance(by: .seconds(1000))
        let other = try await enrolled.signIn(enrolled.recoveryCodes[0])
        let otherBegun = seconds(fixture)
        fixture.clock.advance(by: .seconds(100))
        var request = AuthStepUpRequest()
        request.code = try enrolled.code()
        _ = try await enrolled.factors.stepUp(request, CallOptions())
        next = try await fixture.refresh(next.refreshToken)
        token = fixture.tokens.newest
        #expect(token.acr == Self.twoFactors && token.authTime == seconds(fixture))
        #expect(token.sessionID == session.sessionID && token.amr == ["pwd", "otp", "mfa"], "each word once")
        _ = try await fixture.refresh(other.refreshToken)
        #expect(fixture.tokens.newest.authTime == otherBegun, "another session has shown nothing")
    }

    @Test func methodsAreEachThereOnce() {
        let both = AuthenticationMethods.password.with(.oneTimePassword)
        #expect(both.words == ["pwd", "otp", "mfa"])
        #expect(both.with(.oneTimePassword).with(.password) == both)
        #expect(AuthenticationMethods.password.with(.password).words == ["pwd"], "one factor twice is one factor")
        #expect(AuthenticationMethods(sqlValue: both.sqlValue) == both)
    }
}
