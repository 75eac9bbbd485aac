import AsyncHTTPClient
import Contracts
import NIOHTTP1
import RPCCore
import Testing

@testable import GatewayService

@Suite(.timeLimit(.minutes(2))) struct LiveGatewayTests {
    @Test(arguments: HTTPKind.allCases)
    func theSurfaceAnswersAsThePageSays(kind: HTTPKind) async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            func status(_ verb: String, _ path: String, _ json: String? = nil) async throws -> Int {
                try await live.send(verb, path, token: token, json: json, over: kind).status
            }
            let email = #"{"email":"ada@example.org"}"#
            #expect(try await status("POST", "/v1/users", BadInputTests.login) == 202)
            #expect(try await status("POST", "/v1/email-verifications", #"{"token":"t"}"#) == 200)
            #expect(try await status("POST", "/v1/email-verifications:resend", email) == 202)
            #expect(try await status("POST", "/v1/sessions", BadInputTests.login) == 201)
            #expect(try await status("POST", "/v1/tokens", #"{"refresh_token":"r"}"#) == 201)
            #expect(try await status("GET", "/v1/users/me") == 200)
            let change = #"{"current_password":"a","new_password":"b"}"#
            #expect(try await status("PUT", "/v1/users/me/password", change) == 204)
            #expect(try await status("GET", "/v1/sessions") == 200)
            #expect(try await status("POST", "/v1/password-reset-requests", email) == 202)
            #expect(try await status("POST", "/v1/password-resets", #"{"token":"t","new_password":"b"}"#) == 204)
            #expect(try await status("GET", "/v1/providers") == 200)
            #expect(try await status("POST", "/v1/connections", #"{"provider":"acme"}"#) == 201)
            #expect(try await status("GET", "/v1/connections/con_1/access-token") == 200)
            #expect(try await status("DELETE", "/v1/connections/con_1") == 204)
            #expect(try await status("DELETE", "/v1/sessions/ses_9") == 404)
            #expect(try await status("DELETE", "/v1/sessions/current") == 204)
        }
    }

    @Test func answersHoldTheContractsFields() async throws {
        try await LiveGateway.run { live in
            let tokens = try await live.send("POST", "/v1/sessions", json: BadInputTests.login)
            #expect(tokens.headers["cache-control"] == ["no-store"])
            #expect(tokens.headers["content-type"] == ["application/json"])
            #expect(tokens.json?["access_token"] == .string("access"))
            #expect(tokens.json?["expires_in"] == .number("900"))
            let token = try live.test.accessToken()
            let sessions = try await live.send("GET", "/v1/sessions", token: token)
            #expect(sessions.json == .object([.init("sessions", .array([]))]))
            let connections = try await live.send("GET", "/v1/connections", token: token)
            guard case .array(let items)? = connections.json?["connections"] else {
                return #expect(Bool(false), "no connections")
            }
            #expect(items.first?["state"] == .string("PENDING"))
            let none = try await live.send("DELETE", "/v1/sessions", token: token)
            #expect(none.body.isEmpty)
            #expect(none.headers["content-type"].isEmpty)
        }
    }

    @Test func servicesLearnWhoAndWhence() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            let headers = [
                ("X-Request-Id", "client-chosen-1"), ("User-Agent", "test/1"), ("X-Forwarded-For", "203.0.113.9"),
                ("X-User-Id", "usr_root"), ("Lane", "emergency"),
            ]
            let answer = try await live.send("GET", "/v1/users/me", token: token, headers: headers)
            #expect(answer.headers["x-request-id"] == ["client-chosen-1"])
            let context = try #require(live.test.auth.contexts.last)
            #expect(context.user?.subject == "usr_1")
            #expect(context.user?.sessionID == "ses_1")
            #expect(context.lane == .routine)
            #expect(context.requestID == "client-chosen-1")
            #expect(context.origin == ClientOrigin(address: "127.0.0.1", userAgent: "test/1"))
            #expect(context.metadata.isEmpty)
        }
    }

    @Test func aTraceGoesOnThroughTheServices() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            func trace(_ headers: [(String, String)]) async throws -> TraceContext {
                _ = try await live.send("GET", "/v1/users/me", token: token, headers: headers)
                return try #require(live.test.auth.contexts.last?.trace)
            }
            let whole = try await trace([("traceparent", parent), ("tracestate", "a=1"), ("tracestate", "b=2")])
            #expect(whole == TraceContext(parent: parent.utf8, state: "a=1,b=2"))
            // What is no trace, or two, begins a new one.
            let none = try await trace([])
            let bad = try await trace([("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")])
            let two = try await trace([("traceparent", parent), ("traceparent", parent)])
            #expect(Set([whole, none, bad, two].map(\.traceID)).count == 4)
            let areQuiet = [none, bad, two].allSatisfy { !$0.isSampled && $0.state == nil }
            #expect(areQuiet)
        }
    }

    @Test(arguments: ["short", "has space in it", "semi;colon", String(repeating: "a", count: 65)])
    func otherRequestIDsAreReplaced(id: String) async throws {
        try await LiveGateway.run { live in
            let answer = try await live.send("GET", "/healthz", headers: [("X-Request-Id", id)])
            let own = try #require(answer.headers["x-request-id"].first)
            #expect(own.hasPrefix("req_"))
        }
    }

    @Test func anOptionalUserIsSomebodyOrNobodyAndNeverABadToken() async throws {
        try await LiveGateway.run { live in
            func callback(_ token: String?, _ headers: [(String, String)] = []) async throws -> Answer {
                let path = "/v1/connections/callback?state=s%201&code=c"
                return try await live.send("GET", path, token: token, headers: headers)
            }
            let good = try await callback(live.test.accessToken())
            #expect(good.json?["connection_id"] == .string("usr_1"))
            let nobody = try await callback(nil)
            #expect(nobody.json?["connection_id"] == .string("nobody"))
            #expect(nobody.json?["provider"] == .string("s 1"))
            live.expectProblem(try await callback("nonsense"), 401, "invalid_token")
            live.expectProblem(try await callback(live.test.accessToken(life: -60)), 401, "token_expired")
            live.expectProblem(try await callback(nil, [("Authorization", "Basic YTpi")]), 401, "invalid_token")
            live.test.auth.end(session: "ses_1")
            while live.test.backend.revocations.sequence == 0 { await Task.yield() }
            live.expectProblem(try await callback(live.test.accessToken()), 401, "session_revoked")
        }
    }

    @Test func issuerAndAudienceAreWhatTheOperatorSays() async throws {
        var settings = TestBackend.unlimited
        settings.issuer = "https://id.example"
        settings.audience = "bank"
        try await LiveGateway.run(settings) { live in
            let own = try live.test.accessToken(issuer: "https://id.example", audience: "bank")
            #expect(try await live.send("GET", "/v1/users/me", token: own).status == 200)
            for other in [
                try live.test.accessToken(), try live.test.accessToken(issuer: "https://id.example"),
                try live.test.accessToken(audience: "bank"),
            ] {
                live.expectProblem(try await live.send("GET", "/v1/users/me", token: other), 401, "invalid_token")
            }
        }
    }

    @Test func whoeverHasABadTokenCanStillSignIn() async throws {
        try await LiveGateway.run { live in
            let answer = try await live.send("POST", "/v1/sessions", token: "nonsense", json: BadInputTests.login)
            #expect(answer.status == 201)
            #expect(live.test.auth.contexts.last?.user == nil)
        }
    }

    @Test(arguments: HTTPKind.allCases)
    func aFieldInACookieIsNowhereElse(kind: HTTPKind) async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            func start(_ json: String, cookie: String? = nil) async throws -> Answer {
                try await live.send(
                    "POST", "/v1/connections", token: token, json: json,
                    headers: cookie.map { [("Cookie", $0)] } ?? [], over: kind)
            }
            let first = try await start(#"{"provider":"acme"}"#)
            #expect(
                first.headers["set-cookie"] == [
                    "__Host-lockstep-flow=fresh; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"
                ])
            #expect(first.headers["cache-control"] == ["no-store"])
            #expect(first.json?["browser"] == nil)
            #expect(first.json?["expires_in"] == .number("600"))
            let second = try await start(#"{"provider":"acme"}"#, cookie: "a=b; __Host-lockstep-flow=mine; c=d")
            #expect(second.headers["set-cookie"].first?.hasPrefix("__Host-lockstep-flow=mine;") == true)
            let written = try await start(#"{"provider":"acme","browser":"x"}"#)
            live.expectProblem(written, 400, "invalid_request", fields: ["browser"])
            #expect(written.headers["set-cookie"].isEmpty)

            let back = try await live.send(
                "GET", "/v1/connections/callback?state=s&browser=forged",
                headers: [("Cookie", "__Host-lockstep-flow=mine")], over: kind)
            #expect(back.json?["connection_id"] == .string("mine"))
            let none = try await live.send("GET", "/v1/connections/callback?state=s&browser=forged", over: kind)
            #expect(none.json?["connection_id"] == .string("nobody"))
        }
    }

    @Test func keysMayBeKeptByCaches() async throws {
        try await LiveGateway.run { live in
            let answer = try await live.send("GET", "/.well-known/jwks.json")
            #expect(answer.status == 200)
            #expect(answer.headers["cache-control"] == ["public, max-age=300"])
            guard case .array(let keys)? = answer.json?["keys"] else { return #expect(Bool(false), "no keys") }
            #expect(keys.first?["kid"] == .string("k1"))
            #expect(keys.first?["use"] == .string("sig"))
        }
    }

    @Test(arguments: HTTPKind.allCases)
    func headIsGetWithoutItsBody(kind: HTTPKind) async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            let get = try await live.send("GET", "/v1/users/me", token: token, over: kind)
            let head = try await live.send("HEAD", "/v1/users/me", token: token, over: kind)
            #expect(head.status == 200)
            #expect(head.body.isEmpty)
            #expect(head.headers["content-length"] == get.headers["content-length"])
        }
    }

    @Test func readinessNamesWhatIsMissing() async throws {
        try await LiveGateway.run { live in
            #expect(try await live.send("GET", "/healthz").status == 200)
            #expect(try await live.send("GET", "/readyz").status == 200)
            live.test.authChannel.cut { _ in true }
            live.test.time.advance(by: .seconds(10))
            let answer = try await live.send("GET", "/readyz")
            live.expectProblem(answer, 503, "not_ready", fields: ["auth", "revocations"])
            #expect(try await live.send("GET", "/healthz").status == 200)
        }
    }

    @Test func theDescriptionIsServed() async throws {
        try await LiveGateway.run { live in
            let answer = try await live.send("GET", "/openapi.json")
            #expect(answer.json?["openapi"] == .string("3.1.0"))
        }
    }

    // MARK: Ended sessions

    @Test func anEndedSessionIsRefusedAsSoonAsTheFeedSays() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken(session: "ses_a")
            let other = try live.test.accessToken(session: "ses_b")
            #expect(try await live.send("GET", "/v1/users/me", token: token).status == 200)
            live.test.auth.end(session: "ses_a")
            while live.test.backend.revocations.sequence == 0 { await Task.yield() }
            live.expectProblem(try await live.send("GET", "/v1/users/me", token: token), 401, "session_revoked")
            #expect(try await live.send("GET", "/v1/users/me", token: other).status == 200)
            #expect(live.test.auth.checks == 0)
        }
    }

    @Test func aStaleFeedAsksAuth() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken(session: "ses_a")
            live.test.authChannel.cut { $0.name == "WatchRevocations" }
            live.test.time.advance(by: .seconds(6))
            #expect(try await live.send("GET", "/v1/users/me", token: token).status == 200)
            #expect(live.test.auth.checks == 1)
            live.test.auth.end(session: "ses_a")
            live.expectProblem(try await live.send("GET", "/v1/users/me", token: token), 401, "session_revoked")
        }
    }

    @Test func withoutFeedAndAuthNobodyIsLetIn() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken()
            live.test.authChannel.cut { _ in true }
            live.test.time.advance(by: .seconds(6))
            live.expectProblem(try await live.send("GET", "/v1/users/me", token: token), 503, "unavailable")
        }
    }

    // MARK: Limits

    @Test func tooManyRequestsAreToldWhenToComeBack() async throws {
        try await LiveGateway.run(GatewayBackend.Settings()) { live in
            for _ in 0..<10 {
                #expect(try await live.send("POST", "/v1/sessions", json: BadInputTests.login).status == 201)
            }
            let answer = try await live.send("POST", "/v1/sessions", json: BadInputTests.login)
            live.expectProblem(answer, 429, "rate_limited")
            #expect(answer.headers["retry-after"] == ["6"])
            live.test.time.advance(by: .seconds(6))
            #expect(try await live.send("POST", "/v1/sessions", json: BadInputTests.login).status == 201)
        }
    }

    @Test func aFailedTokenCostsItsUserNothing() async throws {
        try await LiveGateway.run(GatewayBackend.Settings()) { live in
            let token = try live.test.accessToken()
            let change = #"{"current_password":"a","new_password":"b"}"#
            for _ in 0..<20 {
                let answer = try await live.send("PUT", "/v1/users/me/password", token: token + "x", json: change)
                live.expectProblem(answer, 401, "invalid_token")
            }
            for _ in 0..<5 {
                #expect(try await live.send("PUT", "/v1/users/me/password", token: token, json: change).status == 204)
            }
            let answer = try await live.send("PUT", "/v1/users/me/password", token: token, json: change)
            live.expectProblem(answer, 429, "rate_limited")
            let other = try live.test.accessToken(session: "ses_2", subject: "usr_2")
            #expect(try await live.send("PUT", "/v1/users/me/password", token: other, json: change).status == 204)
        }
    }

    @Test func moreRequestsThanItTakesAreRefused() async throws {
        var settings = TestBackend.unlimited
        settings.requests = 0
        try await LiveGateway.run(settings) { live in
            live.expectProblem(try await live.send("GET", "/.well-known/jwks.json"), 503, "busy")
            #expect(try await live.send("GET", "/healthz").status == 200)
        }
    }
}
