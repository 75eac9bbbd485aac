import ContractClients
import Contracts
import RPCCore
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct PasswordTests {
    private func change(
        _ client: AuthServiceClient, from current: String, to new: String
    ) async throws {
        var request = AuthChangePasswordRequest()
        request.currentPassword = current
        request.newPassword = new
        _ = try await client.changePassword(request, CallOptions())
    }

    private func requestReset(_ fixture: Fixture, _ email: String = "ada@example.com") async throws -> String {
        var request = AuthRequestPasswordResetRequest()
        request.email = email
        _ = try await fixture.client().requestPasswordReset(request, CallOptions())
        return try await fixture.mailedToken(.passwordReset)
    }

    private func reset(_ fixture: Fixture, _ token: String, to new: String) async throws {
        var request = AuthResetPasswordRequest()
        request.token = token
        request.newPassword = new
        _ = try await fixture.client().resetPassword(request, CallOptions())
    }

    @Test("ASVS 6.2.3, 6.3.7, 7.4.3: a change needs the current password, ends other sessions and is told")
    func aChangeNeedsTheCurrentPasswordAndEndsOtherSessions() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        let mine = try await fixture.signIn()
        let other = try await fixture.signIn()
        _ = try await fixture.mails()
        let client = try fixture.client(mine, user.userID)
        #expect(
            await refusal { try await change(client, from: "not this one", to: "a new password") }
                == "invalid_credentials")
        #expect(await refusal { try await change(client, from: Fixture.password, to: "short") } == "weak_password")
        #expect(try await fixture.isLive(other.sessionID))
        try await change(client, from: Fixture.password, to: "a new password")
        #expect(try await fixture.isLive(mine.sessionID))
        #expect(try await !fixture.isLive(other.sessionID))
        #expect(try await fixture.mails().map(\.template) == [.passwordChanged])
        _ = try await fixture.refresh(mine.refreshToken)
        _ = try await fixture.signIn(password: "a new password")
        #expect(await refusal { _ = try await fixture.signIn() } == "invalid_credentials")
    }

    @Test("ASVS 6.3.7, 7.4.3: a reset ends all sessions and is told")
    func aResetEndsAllSessionsAndTells() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        let token = try await requestReset(fixture)
        #expect(await refusal { try await reset(fixture, token, to: "short") } == "weak_password")
        try await reset(fixture, token, to: "a new password")
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(session.refreshToken) } == "token_expired")
        #expect(try await fixture.mails().map(\.template) == [.passwordChanged])
        _ = try await fixture.signIn(password: "a new password")
        #expect(await refusal { try await reset(fixture, token, to: "once more, please") } == "invalid_token")
    }

    @Test("ASVS 6.5.1: a reset works once, also for many at once")
    func aResetWorksOnceAlsoForManyAtOnce() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let token = try await requestReset(fixture)
        let winners = await withTaskGroup(of: Int?.self) { group in
            for index in 0..<20 {
                group.addTask {
                    await refusal { try await reset(fixture, token, to: "new password \(index)") } == nil ? index : nil
                }
            }
            return await group.reduce(into: [Int]()) { if let index = $1 { $0.append(index) } }
        }
        try #require(winners.count == 1)
        _ = try await fixture.signIn(password: "new password \(winners[0])")
    }

    @Test("ASVS 6.5.5: a reset link expires, and using one ends the others")
    func aResetLinkExpiresAndUsingOneEndsTheOthers() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        let first = try await requestReset(fixture)
        let second = try await requestReset(fixture)
        try await reset(fixture, first, to: "a new password")
        #expect(await refusal { try await reset(fixture, second, to: "another password") } == "invalid_token")
        let third = try await requestReset(fixture)
        fixture.clock.advance(by: .seconds(900))
        #expect(await refusal { try await reset(fixture, third, to: "another password") } == "token_expired")
        // A link of another kind is not a reset link.
        try await fixture.register("eve@example.com")
        let verification = try await fixture.mailedToken(.emailVerification)
        #expect(await refusal { try await reset(fixture, verification, to: "a new password") } == "invalid_token")
    }

    @Test func aResetConfirmsTheAddress() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com", password: "planted password")
        _ = try await fixture.mails()
        try await reset(fixture, requestReset(fixture), to: "the owner's password")
        _ = try await fixture.signIn(password: "the owner's password")
    }
}
