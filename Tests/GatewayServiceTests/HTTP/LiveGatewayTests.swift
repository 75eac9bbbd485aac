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

    @Test(arguments: ["short", "has space in it", "semi;colon", String(repeating: "a", count: 65)])
    func otherRequestIDsAreReplaced(id: String) async throws {
        try await LiveGateway.run { live in
            let answer = try await live.send("GET", "/healthz", headers: [("X-Request-Id", id)])
            let own = try #require(answer.headers["x-request-id"].first)
            #expect(own.hasPrefix("req_"))
        }
    }

    @Test func aPublicMethodTakesAGoodIdentityAndIgnoresABadOne() async throws {
        try await LiveGateway.run { live in
            func callback(_ token: String?) async throws -> JSONValue? {
                try await live.send("GET", "/v1/connections/callback?state=s%201&code=c", token: token).json
            }
            let good = try await callback(live.test.accessToken())
            #expect(good?["connection_id"] == .string("usr_1"))
            for token in [nil, "nonsense", try live.test.accessToken(life: -60)] {
                let nobody = try await callback(token)
                #expect(nobody?["connection_id"] == .string("nobody"))
                #expect(nobody?["provider"] == .string("s 1"))
            }
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
