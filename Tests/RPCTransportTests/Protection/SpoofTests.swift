import RPCCore
import RPCTransport
import Testing

/// What a peer says about itself and its users is believed only where somebody can vouch for it.
@Suite(.timeLimit(.minutes(1)))
struct SpoofTests {
    private static let forged = ["user", "user-id", "caller", "identity", "lane", "roles", "x-forwarded-for"]

    @Test(
        "Text metadata names no caller, no user, no lane; the client's address counts from the gateway alone",
        arguments: [("token", ""), ("gateway", "203.0.113.9")])
    func textIsNoIdentity(service: String, address: String) async throws {
        let seen = Promised<CallContext>()
        let who = AsyncMethod(bytes: .test("Who", callers: ["gateway", "token"])) { _, context in
            seen.fulfill(context)
            return []
        }
        try await withServer([who], users: TestTokens()) { _, bound in
            try await withClient(bound, as: service) { client in
                _ = try await client.call(who.descriptor) { options in
                    options.origin = ClientOrigin(address: "203.0.113.9", userAgent: "curl")
                    options.lane = .emergency
                    for key in Self.forged { options.metadata.append(key, Array("administrator".utf8)) }
                }
            }
        }
        let context = try await seen.value
        #expect(context.peer.service == service)
        #expect(context.user == nil)
        #expect(context.lane == .routine)
        #expect(context.origin.address == address)
    }
}
