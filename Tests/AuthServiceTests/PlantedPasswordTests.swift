import Contracts
import RPCCore
import SQL
import TestSupport
import Testing

@testable import AuthService

/// Somebody registers an address that is not theirs and waits for its owner to confirm it. All mail goes to the owner;
/// the stranger may ask for as much of it as they like.
@Suite(.everyEngine) struct PlantedPasswordTests {
    private let address = "ada@example.com"
    private let owners = "the owner's password"
    private let planted = "the stranger's password"

    /// The account, once confirmed, is the owner's and not the stranger's.
    private func expectOwner(_ fixture: Fixture, password: String? = nil) async throws {
        _ = try await fixture.signIn(password: password ?? owners)
        #expect(await refusal { _ = try await fixture.signIn(password: planted) } == "invalid_credentials")
    }

    @Test func aStrangersRegistrationLeavesTheOwnersLink() async throws {
        let fixture = try await Fixture()
        try await fixture.register(address, password: owners)
        let link = try await fixture.mailedToken(.emailVerification)
        try await fixture.register(address, password: planted)
        let strangers = try await fixture.mailedToken(.emailVerification)
        try await fixture.verify(link)
        try await expectOwner(fixture)
        #expect(await refusal { try await fixture.verify(strangers) } == "invalid_token")
        try await expectOwner(fixture)
    }

    @Test(arguments: [true, false])
    func aResendNeverConfirmsAStrangersPassword(ownerFirst: Bool) async throws {
        let fixture = try await Fixture()
        for password in ownerFirst ? [owners, planted] : [planted, owners] {
            try await fixture.register(address, password: password)
        }
        _ = try await fixture.mails()
        try await fixture.resend(address)
        // Two passwords claim the address: the owner chooses one.
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: "chosen by the owner")
        try await expectOwner(fixture, password: "chosen by the owner")
    }

    /// The first registrant's name is a stranger's words once somebody else turns out to own the address.
    @Test func aResetThatConfirmsKeepsNoStrangersName() async throws {
        let fixture = try await Fixture()
        try await fixture.register(address, password: planted, name: "Call 555 at once")
        try await fixture.requestReset(address)
        try await fixture.reset(fixture.mailedToken(.passwordReset), to: owners)
        try await expectOwner(fixture)
        let names = try await fixture.database.read {
            try $0.query("SELECT name FROM users") { try $0.get("name", as: String.self) }
        }
        #expect(names == [""])
    }

    /// Anybody may ask for a mail; what the owner holds stays good.
    @Test func aStrangersRequestEndsNoLinkOfTheOwners() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member(address)
        try await fixture.requestReset(address)
        let link = try await fixture.mailedToken(.passwordReset)
        try await fixture.requestReset(address, from: "198.51.100.7")
        #expect(try await fixture.mails().count == 1)
        try await fixture.reset(link, to: owners)
        try await expectOwner(fixture)
    }

    /// Registrations are forgotten after a while; that there was another one is not.
    @Test func aResendIsNotFooledByWaiting() async throws {
        let fixture = try await Fixture()
        try await fixture.register(address, password: owners)
        fixture.clock.advance(by: .seconds(86_400))
        try await fixture.register(address, password: planted)
        fixture.clock.advance(by: AuthPolicy.retention - .seconds(3600))
        try await fixture.handler.store.prune()
        try await fixture.resend(address)
        #expect(try await fixture.mails().allSatisfy { $0.template != .emailVerification })
    }

    @Test func aResendForTheOnlyRegistrationConfirmsItsPassword() async throws {
        let fixture = try await Fixture()
        try await fixture.register(address, password: owners)
        _ = try await fixture.mails()
        try await fixture.resend(address)
        try await fixture.verify(fixture.mailedToken(.emailVerification))
        try await expectOwner(fixture)
    }

    /// A link that was on its way while the owner confirmed another one changes nothing any more.
    @Test func aLinkStoredAfterTheConfirmationIsUseless() async throws {
        let fixture = try await Fixture()
        let store = fixture.handler.store
        try await fixture.register(address, password: owners)
        let link = try await fixture.mailedToken(.emailVerification)
        try await fixture.register(address, password: planted)
        let taken = try await store.takeNotifications(limit: 20, lease: NotificationRelay.lease)
        try await fixture.verify(link)
        let late = try OpaqueToken(.verification)
        _ = try await store.store(late, for: try #require(taken.first), expiresAt: fixture.clock.now + .seconds(600))
        #expect(await refusal { try await fixture.verify(late.text.exposed) } == "invalid_token")
        try await expectOwner(fixture)
    }

    /// Each mail greets with the name of its own registration, which helps its reader to tell them apart.
    @Test func aMailNamesItsOwnRegistration() async throws {
        let fixture = try await Fixture()
        try await fixture.register(address, name: "Ada")
        try await fixture.register(address, name: "Eve")
        #expect(Set(try await fixture.mails().map(\.name)) == ["Ada", "Eve"])
        try await fixture.resend(address)
        #expect(try await fixture.mails().map(\.name) == [""])
        _ = try await fixture.member("known@example.com")
        try await fixture.register("known@example.com", name: "Eve")
        #expect(try await fixture.mails().map(\.name) == ["Ada"])
    }
}
