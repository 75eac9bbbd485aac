import Contracts
import RPCCore
import TestSupport
import Testing

@testable import GatewayService

@Suite(.timeLimit(.minutes(1))) struct DenialTests {
    private func ask(_ target: String, _ token: String) -> GatewayRequest {
        var headers = RequestHeaders()
        headers.authorization = ["Bearer \(token)"]
        headers.userAgent = "curl"
        return GatewayRequest(verb: "GET", target: target, headers: headers)
    }

    @Test("ASVS 16.3.2: a denied call is audited with who, what and whence") func aDenialIsAudited() async throws {
        let test = try TestBackend()
        let member = try test.accessToken(roles: ["user", "responder"])
        let answer = await test.backend.gateway.answer(ask("/v1/admin/users/usr_2", member))
        #expect(answer.status == 403)
        try await until { !test.auth.denials.isEmpty }
        let denial = try #require(test.auth.denials.first)
        #expect(denial.method == "lockstep.auth.v1.UserAdminService/GetAccount")
        #expect(denial.context.user?.subject == "usr_1")
        #expect(denial.context.user?.lane == .routine)
        #expect(test.auth.contexts.isEmpty, "the call itself went nowhere")
    }

    @Test("ASVS 8.2.1: every admin route is closed to whoever is no admin") func noRoleNoRoute() async throws {
        let test = try TestBackend()
        let member = try test.accessToken(roles: ["user"])
        let routes = try RouteTable(codings: Contract.codings).routes.filter {
            if case .admin = $0.method.exposure { true } else { false }
        }
        #expect(routes.count >= 8)
        for route in routes {
            var request = ask(route.http.template.replacing("{user_id}", with: "usr_2").replacing("{role}", with: "admin"), member)
            request.verb = route.http.verb.rawValue
            #expect(await test.backend.gateway.answer(request).status == 403, "\(route.http.template)")
            request.headers.authorization = []
            #expect(await test.backend.gateway.answer(request).status == 401, "\(route.http.template)")
        }
    }
}
