import Contracts
import RPCCore
import TestSupport
import Testing

@testable import AuthService

/// Anybody may ask for mail to anybody's address. It must neither flood the owner nor run out for them.
@Suite(.everyEngine) struct MailAllowanceTests {
    private let address = "ada@example.com"
    private let stranger = "198.51.100.7"

    @Test func aStrangerCannotWithholdTheOwnersConfirmation() async throws {
        let fixture = try await Fixture()
        for number in 0..<15 {
            try await fixture.register(address, password: "planted password \(number)", from: stranger)
        }
        // The first makes the account, which is an event of its own; then the network has its share.
        #expect(try await fixture.mails().count == 1 + AuthPolicy.mailsPerNetwork)
        try await fixture.register(address, password: "the owner's password", from: "192.0.2.1")
        try await fixture.verify(fixture.mailedToken(.emailVerification))
        _ = try await fixture.signIn(password: "the owner's password")
    }

    @Test func manyNetworksDoNotWithholdItEither() async throws {
        let fixture = try await Fixture { $0.mailsPerHour = 3 }
        try await fixture.register(address)
        _ = try await fixture.mails()
        for number in 0..<20 { try await fixture.resend(address, from: "198.51.100.\(number)") }
        _ = try await fixture.mails()
        try await fixture.resend(address, from: "192.0.2.1")
        #expect(try await fixture.mails().count == 1)
        try await fixture.resend(address, from: "192.0.2.1")
        #expect(try await fixture.mails().isEmpty, "the first only")
    }

    @Test func oneSiteOfManyNetworksIsOneStranger() async throws {
        let fixture = try await Fixture { $0.mailsPerHour = 3 }
        _ = try await fixture.member()
        for number in 0..<60 { try await fixture.requestReset(address, from: "2001:db8:0:\(number)::1") }
        #expect(try await fixture.mails().count == 3)
        try await fixture.requestReset(address, from: "2001:db8:1:1::1")
        #expect(try await fixture.mails().count == 1)
    }

    @Test func noStrangersUseUpWhatAFamiliarNetworkGets() async throws {
        let fixture = try await Fixture { $0.mailsPerHour = 1 }
        _ = try await fixture.member()
        _ = try await fixture.signIn(from: "192.0.2.1")
        for number in 0..<40 { try await fixture.requestReset(address, from: "198.51.\(number).1") }
        _ = try await fixture.mails()
        try await fixture.requestReset(address, from: "203.0.113.1")
        #expect(try await fixture.mails().isEmpty)
        for _ in 0..<9 { try await fixture.requestReset(address, from: "192.0.2.1") }
        #expect(try await fixture.mails().count == AuthPolicy.mailsPerFamiliarNetwork)
    }

    @Test func nobodyIsFloodedByManyNetworks() async throws {
        let fixture = try await Fixture { $0.mailsPerHour = 3 }
        _ = try await fixture.member()
        var count = 0
        for number in 0..<60 {
            try await fixture.requestReset(address, from: "2001:db8:\(number):1::1")
            count += try await fixture.mails().count
        }
        #expect(count == 3 * AuthPolicy.strangers)
        fixture.clock.advance(by: AuthPolicy.mailWindow + .seconds(1))
        try await fixture.requestReset(address, from: "2001:db8:0:1::1")
        #expect(try await fixture.mails().count == 1)
    }

    @Test func aNetworkIsOneClient() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.member()
        for number in 1...9 { try await fixture.requestReset(address, from: "2001:db8:1:2::\(number)") }
        #expect(try await fixture.mails().count == AuthPolicy.mailsPerNetwork)
    }
}
