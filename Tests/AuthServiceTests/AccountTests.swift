import ContractClients
import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Another address, all of one's data, and the end of an account.
@Suite(.everyEngine) struct AccountTests {
    private func change(
        _ fixture: Fixture, _ session: AuthSessionTokens, _ user: String, to email: String,
        password: String = Fixture.password
    ) async throws {
        var request = AuthChangeAddressRequest()
        request.email = email
        request.currentPassword = password
        let status = try await fixture.account(session, user).changeAddress(request, CallOptions()).status
        #expect(status == "confirmations_sent")
    }

    private func delete(
        _ fixture: Fixture, _ session: AuthSessionTokens, _ user: String, password: String = Fixture.password
    ) async throws {
        var request = AuthDeleteUserRequest()
        request.currentPassword = password
        _ = try await fixture.account(session, user).deleteUser(request, CallOptions())
    }

    private func tokens(_ mails: [EmailSendRequest]) throws -> (new: String, old: String) {
        let new = try #require(mails.first { $0.template == .addressChange }?.variables["token"])
        let old = try #require(mails.first { $0.template == .addressChangeApproval }?.variables["token"])
        return (new, old)
    }

    @Test("ASVS 6.3.7: an address changes when both addresses have confirmed it", arguments: [true, false])
    func bothConfirm(newFirst: Bool) async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "Lovelace@example.com")
        let mails = try await fixture.mails()
        #expect(Set(mails.map(\.to)) == ["ada@example.com", "lovelace@example.com"])
        let (new, old) = try tokens(mails)
        #expect(try await fixture.confirmAddress(newFirst ? new : old) == "waiting")
        _ = try await fixture.signIn()
        #expect(await refusal { _ = try await fixture.signIn("lovelace@example.com") } == "invalid_credentials")
        #expect(
            await refusal { _ = try await fixture.confirmAddress(newFirst ? new : old) } == "invalid_token", "once each")
        #expect(try await fixture.confirmAddress(newFirst ? old : new) == "changed")
        _ = try await fixture.signIn("lovelace@example.com")
        #expect(await refusal { _ = try await fixture.signIn() } == "invalid_credentials")
        let told = try await fixture.mails().filter { $0.template == .addressChanged }
        #expect(told.map(\.to) == ["ada@example.com"])
        let user = try await fixture.client(session, ada.userID).getUser(AuthGetUserRequest(), CallOptions())
        #expect(user.email == "lovelace@example.com" && user.emailVerified)
        // The old address is anybody's again.
        try await fixture.register("ada@example.com")
        #expect(try await fixture.mails().map(\.template).contains(.emailVerification))
    }

    @Test("ASVS 6.3.8: whether somebody has the new address is told to nobody")
    func aTakenAddressIsNoNews() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "eve@example.com")
        let mails = try await fixture.mails()
        #expect(mails.first { $0.to == "eve@example.com" }?.template == .alreadyRegistered)
        let old = try #require(mails.first { $0.template == .addressChangeApproval }?.variables["token"])
        #expect(try await fixture.confirmAddress(old) == "waiting", "and so it stays")
        _ = try await fixture.signIn("eve@example.com")
    }

    @Test func whoConfirmedAnAddressMeanwhileKeepsIt() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "eve@example.com")
        let (new, old) = try tokens(try await fixture.mails())
        _ = try await fixture.confirmAddress(new)
        _ = try await fixture.member("eve@example.com")
        #expect(await refusal { _ = try await fixture.confirmAddress(old) } == "invalid_token")
        _ = try await fixture.signIn()
        _ = try await fixture.signIn("eve@example.com")
    }

    @Test func whoNeverConfirmedAnAddressDoesNotHoldIt() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        try await fixture.register("new@example.com", password: "planted password")
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "new@example.com")
        let (new, old) = try tokens(try await fixture.mails())
        _ = try await fixture.confirmAddress(new)
        #expect(try await fixture.confirmAddress(old) == "changed")
        _ = try await fixture.signIn("new@example.com")
        #expect(await refusal { _ = try await fixture.signIn("new@example.com", password: "planted password") } != nil)
    }

    @Test("ASVS 6.2.3: a change of address needs the password, and a new password ends one that waits")
    func aThiefOfASessionDoesNotMoveTheAccount() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        #expect(
            await refusal { try await change(fixture, session, ada.userID, to: "x@example.com", password: "wrong") }
                == "invalid_credentials")
        #expect(await refusal { try await change(fixture, session, ada.userID, to: "ada@example.com") } == "invalid_request")
        try await change(fixture, session, ada.userID, to: "x@example.com")
        let (new, old) = try tokens(try await fixture.mails())
        try await fixture.requestReset("ada@example.com")
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: "a new password")
        #expect(await refusal { _ = try await fixture.confirmAddress(new) } == "invalid_token")
        #expect(await refusal { _ = try await fixture.confirmAddress(old) } == "invalid_token")
    }

    @Test func linksOfAChangeEndAndASecondChangeEndsTheFirst() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "one@example.com")
        let first = try tokens(try await fixture.mails())
        try await change(fixture, session, ada.userID, to: "two@example.com")
        let second = try tokens(try await fixture.mails())
        #expect(await refusal { _ = try await fixture.confirmAddress(first.new) } == "invalid_token")
        _ = try await fixture.confirmAddress(second.new)
        fixture.clock.advance(by: .seconds(86_400))
        #expect(await refusal { _ = try await fixture.confirmAddress(second.old) } == "token_expired")
        fixture.clock.advance(by: AuthPolicy.retention + .seconds(1))
        try await fixture.handler.store.prune()
        let left = try await fixture.database.read {
            try $0.one("SELECT count(*) AS n FROM address_changes").get("n", as: Int.self)
        }
        #expect(left == 0)
    }

    @Test func nobodyIsFloodedByChangesOfAddress() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        for _ in 0..<AuthPolicy.addressChangesAtMost { try await change(fixture, session, ada.userID, to: "eve@example.com") }
        #expect(
            await refusal { try await change(fixture, session, ada.userID, to: "eve@example.com") } == "too_many_changes")
    }

    @Test("GDPR 15 and 20: a user gets all that auth keeps of them") func dataIsExported() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        _ = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        _ = try await fixture.signIn("eve@example.com")
        let data = try await fixture.account(session, ada.userID).exportUserData(AuthExportUserDataRequest(), CallOptions())
        #expect(data.user.email == "ada@example.com" && data.roles == ["user"])
        #expect(data.sessions.map(\.sessionID) == [session.sessionID] && data.sessions[0].current)
        #expect(Set(data.events.map(\.event)) == ["authn_login_success", "email_verified", "user_registered"])
        #expect(data.nextPageToken.isEmpty)
        #expect(data.knownAgents.count == 1 && data.knownAgents[0].signIns == 1)
        #expect(data.factors.isEmpty && data.passkeys.isEmpty && data.tier.isEmpty && !data.hasAddressChange)
        _ = try await fixture.mails()
        try await change(fixture, session, ada.userID, to: "new@example.com")
        let (new, _) = try tokens(try await fixture.mails())
        _ = try await fixture.confirmAddress(new)
        let later = try await fixture.account(session, ada.userID).exportUserData(AuthExportUserDataRequest(), CallOptions())
        #expect(later.addressChange.email == "new@example.com" && later.addressChange.confirmed && !later.addressChange.approved)
        #expect(later.addressChange.expiresAt == (fixture.clock.now + .seconds(86_400)).message)
    }

    @Test("ASVS 7.5.1, GDPR 15 and 20: an old session alone takes no data away: who has no second factor shows the password")
    func anExportNeedsAFreshProof() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let session = try await fixture.signIn()
        let account = try fixture.account(session, ada.userID)
        fixture.clock.advance(by: .seconds(900))
        #expect(await refusal { _ = try await account.exportUserData(.init(), CallOptions()) } == "reauthentication_required")
        _ = try await fixture.refresh(session.refreshToken)
        #expect(
            await refusal { _ = try await account.exportUserData(.init(), CallOptions()) } == "reauthentication_required",
            "a refresh is no proof")
        _ = try await account.confirmPassword(.with { $0.currentPassword = Fixture.password }, CallOptions())
        #expect(try await account.exportUserData(.init(), CallOptions()).user.email == "ada@example.com")
    }

    @Test("GDPR 17, ASVS 7.4.2: a deleted account is gone at once, and its trail leads to nobody")
    func deletionLeavesNobody() async throws {
        let fixture = try await Fixture()
        let ada = try await fixture.member()
        let eve = try await fixture.member("eve@example.com")
        let session = try await fixture.signIn()
        let other = try await fixture.signIn()
        _ = try await fixture.signIn("eve@example.com")
        _ = await refusal { _ = try await fixture.signIn(password: "wrong") }
        _ = try await fixture.mails()
        #expect(await refusal { try await delete(fixture, session, ada.userID, password: "wrong") } == "invalid_credentials")
        try await delete(fixture, session, ada.userID)
        #expect(try await !fixture.isLive(session.sessionID))
        #expect(await refusal { _ = try await fixture.refresh(other.refreshToken) } == "invalid_refresh_token")
        let ended = try await fixture.handler.store.revocations(after: 0).entries.map(\.sessionID)
        #expect(Set(ended) == [session.sessionID, other.sessionID], "gateways are told")
        #expect(await refusal { _ = try await fixture.signIn() } == "invalid_credentials")
        let mails = try await fixture.mails()
        #expect(mails.map(\.template) == [.accountDeleted] && mails.map(\.to) == ["ada@example.com"])
        // Nothing of hers is left but rows without a person.
        for table in ["users", "sessions", "refresh_tokens", "registrations", "known_agents", "guesses", "notifications"] {
            let text = try await fixture.database.read { "\(try $0.query("SELECT * FROM \(table)").map(\.values))" }
            #expect(!text.contains(ada.userID) && !text.contains("ada@"), "\(table)")
        }
        let trail = try await fixture.database.read {
            try $0.query("SELECT subject, address, network, user_agent FROM audit_events") { row in
                try ["subject", "address", "network", "user_agent"].map { try row.get($0, as: String?.self) ?? "" }
            }
        }
        let eves = try await fixture.database.read {
            try $0.one("SELECT pseudonym FROM users WHERE id = :id", ["id": eve.userID]).get("pseudonym", as: String.self)
        }
        let hers = trail.filter { !$0[0].isEmpty && $0[0] != eves }
        #expect(hers.count >= 5 && Set(hers.map { $0[0] }).count == 1 && hers.allSatisfy { $0[0].hasPrefix("sub_") })
        #expect(hers.allSatisfy { $0.dropFirst().allSatisfy(\.isEmpty) })
        #expect(try await fixture.audit().contains("user_deleted"))
        // The address is free for an account that has nothing to do with the one before.
        let again = try await fixture.member()
        #expect(again.userID != ada.userID)
        _ = try await fixture.signIn()
    }
}
