import RPCCore
import Testing

@Suite struct AuthorizationTests {
    @Test func onlyNamedCallersMayCall() throws {
        let method = Fixture.method(callers: ["gateway", "operator"])
        #expect(throws: Never.self) { try method.authorize(peer: try #require(PeerIdentity(service: "operator"))) }
        let email = try #require(PeerIdentity(service: "email"))
        let error = #expect(throws: RPCError.self) { try method.authorize(peer: email) }
        #expect(error?.code == .permissionDenied && error?.reason == "caller_not_allowed" && error?.processed == .no)
        #expect(throws: RPCError.self) { try Fixture.method(callers: []).authorize(peer: email) }
    }

    @Test(arguments: [Exposure.internal, .public])
    func someMethodsNeedNoUser(exposure: Exposure) {
        #expect(throws: Never.self) { try Fixture.method(exposure: exposure).authorize(user: nil) }
        #expect(!Fixture.method(exposure: exposure).needsUser)
    }

    @Test(arguments: [Exposure.user, .admin(roles: ["chief"])])
    func othersRefuseNobody(exposure: Exposure) {
        let method = Fixture.method(exposure: exposure)
        let error = #expect(throws: RPCError.self) { try method.authorize(user: nil) }
        #expect(error?.code == .unauthenticated && error?.processed == .no && method.needsUser)
    }

    @Test func oneOfTheRolesIsEnough() {
        let method = Fixture.method(exposure: .admin(roles: ["chief", "keeper"]))
        #expect(throws: Never.self) { try method.authorize(user: Fixture.user(["guest", "keeper"])) }
        let error = #expect(throws: RPCError.self) { try method.authorize(user: Fixture.user(["guest"])) }
        #expect(error?.code == .permissionDenied && error?.reason == "role_missing")
        let closed = Fixture.method(exposure: .admin(roles: []))
        #expect(throws: RPCError.self) { try closed.authorize(user: Fixture.user(["chief"])) }
    }
}
