import ContractClients
import Contracts
import RPCCore
import SQL
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite(.everyEngine) struct RegistrationTests {
    @Test func registerConfirmSignIn() async throws {
        let fixture = try await Fixture()
        try await fixture.register("Ada@Example.COM")
        #expect(await refusal { _ = try await fixture.signIn() } == "invalid_credentials")
        let mail = try #require(try await fixture.mails().first)
        #expect(mail.to == "ada@example.com" && mail.template == .emailVerification && mail.name == "Ada")
        let user = try await fixture.verify(try #require(mail.variables["token"]))
        #expect(user.emailVerified && user.email == "ada@example.com" && user.userID.hasPrefix("usr_"))
        let session = try await fixture.signIn()
        #expect(session.tokenType == "Bearer" && session.expiresIn == 900)
        #expect(session.accessToken == "jwt \(user.userID) \(session.sessionID) 900 lockstep")
        let me = try await fixture.client(session, user.userID).getUser(AuthGetUserRequest(), CallOptions())
        #expect(me == user)
        #expect(
            try await fixture.audit() == [
                "user_registered", "authn_login_unverified", "email_verified", "authn_login_success",
            ])
    }

    @Test("ASVS 6.3.8: known and unknown addresses cost the same, in calls and statements")
    func knownAndUnknownAddressesCostTheSame() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member("known@example.com")
        try await fixture.register("unverified@example.com")
        func cost(_ body: () async throws -> Void) async throws -> [String] {
            _ = fixture.log.take()
            let before = fixture.database.statistics
            try await body()
            let after = fixture.database.statistics
            let statements = after.statements - before.statements
            let writes = after.transactions - before.transactions
            return fixture.log.take() + ["\(statements) statements, \(writes) writes"]
        }
        let new = try await cost { try await fixture.register("new@example.com") }
        #expect(new.prefix(2) == ["check", "hash"])
        #expect(try await cost { try await fixture.register("known@example.com") } == new)
        #expect(try await cost { try await fixture.register("unverified@example.com") } == new)

        func wrong(_ address: String, _ password: String) async throws -> [String] {
            try await cost {
                #expect(
                    await refusal { _ = try await fixture.signIn(address, password: password) } == "invalid_credentials"
                )
            }
        }
        let unknown = try await wrong("nobody@example.com", "a wrong password")
        #expect(unknown.first == "verify")
        #expect(try await wrong("known@example.com", "a wrong password") == unknown)
        #expect(try await wrong("unverified@example.com", "a wrong password") == unknown)
        #expect(try await wrong("known@example.com", String(repeating: "x", count: 73)) == unknown)
        #expect(try await wrong("nobody@example.com", String(repeating: "x", count: 73)) == unknown)

        for path in ["resend", "reset"] {
            func ask(_ address: String) async throws -> [String] {
                try await cost { try await self.ask(path, address, fixture) }
            }
            let unknown = try await ask("nobody@example.com")
            #expect(try await ask("known@example.com") == unknown)
            #expect(try await ask("unverified@example.com") == unknown)
        }
    }

    private func ask(_ path: String, _ address: String, _ fixture: Fixture) async throws {
        if path == "reset" { try await fixture.requestReset(address) } else { try await fixture.resend(address) }
    }

    @Test func aKnownAddressIsToldByMailOnly() async throws {
        let fixture = try await Fixture()
        let user = try await fixture.member()
        try await fixture.register("ada@example.com", password: "somebody else's idea")
        let mails = try await fixture.mails()
        #expect(mails.map(\.template) == [.alreadyRegistered] && mails[0].variables.isEmpty)
        #expect(
            await refusal { _ = try await fixture.signIn(password: "somebody else's idea") } == "invalid_credentials")
        _ = try await fixture.signIn()
        #expect(
            try await fixture.client(fixture.signIn(), user.userID).getUser(AuthGetUserRequest(), CallOptions()).name
                == "Ada")
    }

    /// Whoever registers somebody else's address first must not own the account that its owner confirms.
    @Test("ASVS 6.6.2: a link confirms the password of its own registration alone")
    func aLinkConfirmsThePasswordOfItsOwnRegistration() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com", password: "planted password")
        _ = try await fixture.mails()
        try await fixture.register("ada@example.com", password: "the owner's password")
        let owners = try await fixture.mailedToken(.emailVerification)
        try await fixture.register("ada@example.com", password: "planted once more")
        try await fixture.verify(owners)
        _ = try await fixture.signIn(password: "the owner's password")
        #expect(await refusal { _ = try await fixture.signIn(password: "planted once more") } == "invalid_credentials")
        #expect(await refusal { _ = try await fixture.signIn(password: "planted password") } == "invalid_credentials")
        // The mail that was still waiting is not sent any more.
        #expect(try await fixture.mails().allSatisfy { $0.template == .newSignIn })
    }

    @Test("ASVS 6.5.1: a link confirms once, also for many at once")
    func aLinkWorksOnceAlsoForManyAtOnce() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let token = try await fixture.mailedToken(.emailVerification)
        let refusals = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<20 {
                group.addTask { await refusal { try await fixture.verify(token) } }
            }
            return await group.reduce(into: [String?]()) { $0.append($1) }
        }
        #expect(refusals.filter { $0 == nil }.count == 1)
        #expect(refusals.compactMap(\.self).allSatisfy { $0 == "invalid_token" })
    }

    @Test("ASVS 6.5.5: links expire, and using one ends the others")
    func linksExpireAndUsingOneEndsTheOthers() async throws {
        let fixture = try await Fixture()
        try await fixture.register("ada@example.com")
        let first = try await fixture.mailedToken(.emailVerification)
        try await ask("resend", "ada@example.com", fixture)
        let second = try await fixture.mailedToken(.emailVerification)
        try await fixture.verify(second)
        #expect(await refusal { try await fixture.verify(first) } == "invalid_token")
        try await fixture.register("eve@example.com")
        let late = try await fixture.mailedToken(.emailVerification)
        fixture.clock.advance(by: .seconds(86_400))
        #expect(await refusal { try await fixture.verify(late) } == "token_expired")
        #expect(await refusal { try await fixture.verify("lsv_garbage") } == "invalid_token")
        #expect(await refusal { try await fixture.verify(OpaqueToken(.verification).text.exposed) } == "invalid_token")
    }

    @Test func nobodyIsFloodedWithMail() async throws {
        let fixture = try await Fixture { $0.mailsPerHour = 3 }
        _ = try await fixture.member()
        for _ in 0..<5 { try await ask("reset", "ada@example.com", fixture) }
        #expect(try await fixture.mails().count == 3)
        fixture.clock.advance(by: .seconds(3601))
        try await ask("reset", "ada@example.com", fixture)
        #expect(try await fixture.mails().count == 1)
    }

    @Test func badInputNamesTheField() async throws {
        let fixture = try await Fixture()
        func violations(_ email: String, _ password: String, _ name: String = "") async throws -> [String] {
            var request = AuthRegisterRequest()
            request.email = email
            request.password = password
            request.name = name
            do {
                _ = try await fixture.client().register(request, CallOptions())
                return []
            } catch let error as RPCError {
                #expect(error.code == .invalidArgument && !error.message.contains("secret"))
                return error.violations.map(\.field)
            }
        }
        #expect(try await violations("ada@", "secret secret") == ["email"])
        #expect(try await violations("ada@example.com\r\nBcc: eve@example.com", "secret secret") == ["email"])
        #expect(try await violations("ada@example.com", "secret") == ["password"])
        #expect(try await violations("ada@example.com", "ada@example.com") == ["password"])
        #expect(try await violations("ada@example.com", "secret secret", "Ada\nEve") == ["name"])
        #expect(try await fixture.audit().isEmpty)
    }
}
