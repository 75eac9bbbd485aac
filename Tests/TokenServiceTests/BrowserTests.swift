import ContractClients
import Contracts
import RPCCore
import TestSupport
import Testing

@testable import TokenService

/// A flow belongs to a user and to the browser that started it: consent that somebody was tricked into giving ends
/// nowhere.
@Suite(.everyEngine) struct BrowserTests {
    private func with(_ body: (Fixture, TestHTTPServer) async throws -> Void) async throws {
        let server = try await TestHTTPServer.start { _ in .tokens("access", refresh: "refresh") }
        try await Fixture.with(ProviderRegistry([.acme(server.origin)])) { try await body($0, server) }
        try await server.stop()
    }

    private func callback(_ start: TokenCreateConnectionResponse) throws -> Callback {
        Callback(state: try #require(start.query["state"]))
    }

    /// All that a caller learns of an error.
    private func told(_ error: RPCError?) -> [String] {
        guard let error else { return [] }
        return [error.reason, "\(error.code)", error.message] + error.violations.map { "\($0.field): \($0.message)" }
    }

    @Test func aVictimsBrowserCompletesNothing() async throws {
        try await with { fixture, server in
            let attacker = try fixture.client("usr_eve")
            let victim = try fixture.client(nil)
            let bait = try await attacker.start()
            let own = try await fixture.client("usr_ada").start()
            let unknown = told(await failure { try await victim.complete(Callback(state: "never-given")) })
            #expect(unknown.first == "invalid_state")

            // Without a cookie, with the victim's own, with a guess; signed in as the victim, whatever the cookie.
            for browser in ["", own.browser, "guess"] {
                #expect(told(await failure { try await victim.complete(callback(bait), in: browser) }) == unknown)
            }
            let signedIn = try fixture.client("usr_ada")
            for browser in ["", own.browser, bait.browser] {
                #expect(told(await failure { try await signedIn.complete(callback(bait), in: browser) }) == unknown)
            }
            #expect(server.requests(to: "/token").isEmpty, "the code was exchanged")
            #expect(try await attacker.states() == [.pending])
            #expect(await failure { try await attacker.token(bait.connectionID) }?.reason == "not_connected")

            // The state is not used up by it.
            #expect(try await victim.complete(callback(own), in: own.browser).state == .active)
            #expect(try await attacker.complete(callback(bait)).state == .active)
        }
    }

    @Test func theBrowserThatStartedNeedsNoToken() async throws {
        try await with { fixture, _ in
            let start = try await fixture.client("usr_ada").start()
            #expect(start.browser.utf8.count == 43)
            #expect(start.expiresIn == 600)
            let nobody = try fixture.client(nil)
            #expect(try await nobody.complete(callback(start), in: start.browser).state == .active)
            let again = await failure { try await nobody.complete(callback(start), in: start.browser) }
            #expect(again?.reason == "invalid_state")
        }
    }

    @Test func twoTabsBothEndWell() async throws {
        try await with { fixture, _ in
            let ada = try fixture.client("usr_ada")
            let first = try await ada.start()
            let second = try await ada.start(in: first.browser)
            #expect(second.browser == first.browser)
            let nobody = try fixture.client(nil)
            #expect(try await nobody.complete(callback(second), in: second.browser).state == .active)
            #expect(try await nobody.complete(callback(first), in: second.browser).state == .active)
            #expect(try await ada.states() == [.active, .active])

            // With no flow under way the browser gets a new secret.
            #expect(try await ada.start(in: first.browser).browser != first.browser)
        }
    }

    @Test func nothingMadeUpAndNobodyElsesIsTakenOver() async throws {
        try await with { fixture, _ in
            let ada = try await fixture.client("usr_ada").start()
            let eve = try fixture.client("usr_eve")
            #expect(try await eve.start(in: "chosen-by-eve").browser != "chosen-by-eve")
            let bait = try await eve.start(in: ada.browser)
            #expect(bait.browser != ada.browser)
            let error = await failure { try await fixture.client(nil).complete(callback(bait), in: ada.browser) }
            #expect(error?.reason == "invalid_state")
        }
    }

    @Test func aFlowThatEndedUnusedKeepsNoBrowser() async throws {
        try await with { fixture, _ in
            let ada = try fixture.client("usr_ada")
            let first = try await ada.start()
            fixture.clock.advance(by: .seconds(600))
            #expect(try await ada.start(in: first.browser).browser != first.browser)
            let error = await failure { try await fixture.client(nil).complete(callback(first), in: first.browser) }
            #expect(error?.reason == "invalid_state")
        }
    }
}
