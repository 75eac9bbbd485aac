import RPCCore
import Testing

@testable import GatewayService

@Suite(.timeLimit(.minutes(1))) struct LaneTests {
    private func me(_ token: String) -> GatewayRequest {
        var headers = RequestHeaders()
        headers.authorization = ["Bearer \(token)"]
        return GatewayRequest(verb: "GET", target: "/v1/users/me", headers: headers)
    }

    @Test func aResponderHasTheEmergencyLaneWhereTheContractSaysSo() async throws {
        try await LiveGateway.run { live in
            let responder = try live.test.accessToken(roles: ["member", "responder"])
            let member = try live.test.accessToken(session: "ses_2", subject: "usr_2", roles: ["member"])
            for (token, path, lane) in [
                (responder, "/v1/users/me", Lane.emergency), (responder, "/v1/sessions", .emergency),
                (member, "/v1/users/me", .routine),
            ] {
                #expect(try await live.send("GET", path, token: token).status == 200)
                #expect(live.test.auth.contexts.last?.lane == lane, "\(path)")
                #expect(live.test.auth.contexts.last?.user?.lane == lane, "\(path): the token says no more than that")
            }
            let change = #"{"current_password":"a","new_password":"b"}"#
            _ = try await live.send("PUT", "/v1/users/me/password", token: responder, json: change)
            #expect(live.test.auth.contexts.last?.lane == .routine, "a route without the lane")
            #expect(live.test.auth.contexts.last?.user?.lane == .routine, "and its token is none elsewhere")
        }
    }

    @Test(
        arguments: [
            ("Lane", "emergency"), ("X-Lane", "1"), ("Priority", "u=0"), ("X-Emergency", "true"),
            ("lockstep-lane", "emergency"), ("lockstep-user-identity", "usr_1 ses_1 emergency responder"),
            ("X-User-Roles", "responder"), ("Forwarded", "for=127.0.0.1;lane=emergency"),
        ])
    func noHeaderAsksForIt(name: String, value: String) async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken(roles: ["member"])
            let answer = try await live.send("GET", "/v1/users/me", token: token, headers: [(name, value)])
            #expect(answer.status == 200)
            let context = try #require(live.test.auth.contexts.last)
            #expect(context.lane == .routine)
            #expect(context.user?.lane == .routine)
            #expect(context.user?.roles == ["member"])
        }
    }

    @Test func neitherQueryNorBodyAsksForIt() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken(roles: ["member"])
            for query in ["lane=emergency", "lane=1", "priority=EMERGENCY"] {
                #expect(try await live.send("GET", "/v1/users/me?\(query)", token: token).status == 400)
            }
            let login = #"{"email":"ada@example.org","password":"long enough","lane":"emergency"}"#
            #expect(try await live.send("POST", "/v1/sessions", json: login).status == 400)
            #expect(live.test.auth.contexts.isEmpty)
        }
    }

    @Test func routineRequestsLeaveAFifthToResponders() async throws {
        var settings = TestBackend.unlimited
        settings.requests = 10
        let test = try TestBackend(settings)
        let gateway = test.backend.gateway
        let member = try test.accessToken(roles: ["member"])
        let responder = try test.accessToken(session: "ses_2", subject: "usr_2", roles: ["responder"])
        test.auth.hold()
        try await withThrowingTaskGroup(of: GatewayResponse.self) { group in
            for _ in 0..<8 { group.addTask { await gateway.answer(me(member)) } }
            while test.auth.held < 8 { await Task.yield() }
            let refused = await gateway.answer(me(member))
            #expect(refused.status == 503)
            let advice = refused.headers.filter { $0.name == "Retry-After" }
            #expect(advice.count == 1)
            #expect(await gateway.answer(GatewayRequest(verb: "GET", target: "/.well-known/jwks.json")).status == 503)
            let forged = await gateway.answer(me("not.a.token"))
            #expect(forged.status == 401)
            for _ in 0..<2 { group.addTask { await gateway.answer(me(responder)) } }
            while test.auth.held < 10 { await Task.yield() }
            #expect(await gateway.answer(me(responder)).status == 503, "its own fifth and no more")
            test.auth.release()
            for try await answer in group { #expect(answer.status == 200) }
        }
        #expect(await gateway.answer(me(member)).status == 200, "every place was given back")
    }

    @Test func respondersLeaveHalfToOthers() async throws {
        var settings = TestBackend.unlimited
        settings.requests = 10
        let test = try TestBackend(settings)
        let gateway = test.backend.gateway
        let responder = try test.accessToken(roles: ["responder"])
        test.auth.hold()
        await withTaskGroup(of: GatewayResponse.self) { group in
            for _ in 0..<5 { group.addTask { await gateway.answer(me(responder)) } }
            while test.auth.held < 5 { await Task.yield() }
            #expect(await gateway.answer(me(responder)).status == 503)
            let jwks = GatewayRequest(verb: "GET", target: "/.well-known/jwks.json")
            for _ in 0..<5 { #expect(await gateway.answer(jwks).status == 200) }
            test.auth.release()
            await group.waitForAll()
        }
    }
}
