import Foundation
import RPCCore
import Testing

@testable import GatewayService

/// The endpoints for OAuth clients: forms, credentials, errors; over HTTPS.
@Suite struct OAuthTests {
    /// `s:+ %` as a form has it.
    private static let formSecret = "s%3A%2B+%25"

    private func post(
        _ live: LiveGateway, _ form: String, basic: String? = nil, type: String = "application/x-www-form-urlencoded",
        path: String = "/v1/oauth2/token", extra: [(String, String)] = []
    ) async throws -> Answer {
        let authorization = basic.map { [("Authorization", "Basic " + Data($0.utf8).base64EncodedString())] } ?? []
        return try await live.send("POST", path, json: form, headers: [("Content-Type", type)] + authorization + extra)
    }

    private func expectError(
        _ answer: Answer, _ status: Int, _ error: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == status, sourceLocation: sourceLocation)
        #expect(answer.headers["content-type"] == ["application/json"], sourceLocation: sourceLocation)
        #expect(answer.headers["cache-control"] == ["no-store"], sourceLocation: sourceLocation)
        #expect(answer.json?["error"] == .string(error), sourceLocation: sourceLocation)
        if status == 401 {
            let challenge = answer.headers["www-authenticate"]
            #expect(challenge.count == 1 && challenge[0].hasPrefix("Basic realm="), sourceLocation: sourceLocation)
        }
    }

    @Test("RFC 6749 2.3.1, 4.4.2, 5.1: a form, credentials in it or by Basic, and an answer that nobody keeps")
    func aTokenIsIssued() async throws {
        try await LiveGateway.run { live in
            let answers = [
                try await post(
                    live, "grant_type=client_credentials&scope=admin+responder&client_id=cli_1&client_secret=\(Self.formSecret)"),
                try await post(
                    live, "grant_type=client_credentials&scope=admin%20responder&unknown=1&other", basic: "cli_1:\(Self.formSecret)",
                    type: "application/x-www-form-urlencoded; charset=UTF-8"),
                try await post(
                    live, "scope=admin+responder&grant_type=client_credentials&client_id=cli_1", basic: "cli%5F1:\(Self.formSecret)"),
            ]
            for answer in answers {
                #expect(answer.status == 200)
                #expect(answer.headers["cache-control"] == ["no-store"] && answer.headers["pragma"] == ["no-cache"])
                #expect(answer.json?["access_token"] == .string("at") && answer.json?["token_type"] == .string("Bearer"))
                #expect(answer.json?["expires_in"] == .number("900"))
                #expect(answer.json?["scope"] == .string("admin responder"))
                #expect(answer.json?["refresh_token"] == nil)
            }
        }
    }

    @Test("RFC 6749 5.2: what fails says so in OAuth's words")
    func errorsAreOAuths() async throws {
        try await LiveGateway.run { live in
            let good = "cli_1:\(Self.formSecret)"
            let grant = "grant_type=client_credentials"
            expectError(try await post(live, grant), 401, "invalid_client")
            expectError(try await post(live, grant, basic: "cli_1:wrong"), 401, "invalid_client")
            expectError(try await post(live, grant, basic: "no colon"), 401, "invalid_client")
            expectError(try await post(live, grant, extra: [("Authorization", "Bearer x")]), 401, "invalid_client")
            expectError(try await post(live, grant, extra: [("Authorization", "Basic !!!")]), 401, "invalid_client")
            expectError(try await post(live, grant + "&client_secret=x", basic: good), 400, "invalid_request")
            expectError(try await post(live, grant + "&client_id=cli_2", basic: good), 400, "invalid_request")
            expectError(try await post(live, grant + "&" + grant, basic: good), 400, "invalid_request")
            expectError(try await post(live, "scope=admin", basic: good), 400, "invalid_request")
            expectError(try await post(live, "grant_type=", basic: good), 400, "invalid_request")
            expectError(try await post(live, "grant_type=%zz", basic: good), 400, "invalid_request")
            expectError(try await post(live, "grant_type=%ff", basic: good), 400, "invalid_request")
            expectError(try await post(live, "grant_type=password", basic: good), 400, "unsupported_grant_type")
            expectError(try await post(live, "{}", basic: good, type: "application/json"), 400, "invalid_request")
            expectError(try await post(live, grant, basic: good, extra: [("Content-Encoding", "gzip")]), 400, "invalid_request")
            let long = try await post(live, "scope=" + String(repeating: "a", count: 20_000), basic: good)
            expectError(long, 413, "invalid_request")
            live.test.oauth.fail(with: RPCError(.unavailable, "Away.", processed: .no))
            let away = try await post(live, grant, basic: good)
            expectError(away, 503, "temporarily_unavailable")
            #expect(away.headers["retry-after"].count == 1)
            live.test.oauth.fail(with: RPCError(.internal, "A secret reason."))
            let broken = try await post(live, grant, basic: good)
            expectError(broken, 500, "server_error")
            #expect(!String(decoding: broken.body, as: UTF8.self).contains("secret reason"))
        }
    }

    @Test("RFC 7662 2.2: of a token that is not live nothing but that is said")
    func introspection() async throws {
        try await LiveGateway.run { live in
            let good = "cli_1:\(Self.formSecret)"
            let path = "/v1/oauth2/introspection"
            let dead = try await post(live, "token=bad&token_type_hint=access_token", basic: good, path: path)
            #expect(dead.status == 200 && String(decoding: dead.body, as: UTF8.self) == #"{"active":false}"#)
            let alive = try await post(live, "token=good", basic: good, path: path)
            #expect(alive.json?["active"] == .bool(true) && alive.json?["sub"] == .string("usr_1"))
            #expect(alive.json?["exp"] == .number("1800000000"), "a number, as RFC 7519 has it")
            expectError(try await post(live, "token=good", path: path), 401, "invalid_client")
            expectError(try await post(live, "", basic: good, path: path), 400, "invalid_request")
        }
    }

    @Test("RFC 7009 2.2: revocation answers 200 and nothing else")
    func revocation() async throws {
        try await LiveGateway.run { live in
            let answer = try await post(live, "token=any", basic: "cli_1:\(Self.formSecret)", path: "/v1/oauth2/revocation")
            #expect(answer.status == 200)
            expectError(try await post(live, "token=any", path: "/v1/oauth2/revocation"), 401, "invalid_client")
        }
    }

    /// Default deny: what is a user's own is for users, and a role is needed for the rest.
    @Test func aClientsTokenReachesNothingOfUsers() async throws {
        try await LiveGateway.run { live in
            let token = try live.test.accessToken(session: "clt_1", subject: "cli_1", roles: ["responder"], client: "cli_1")
            live.expectProblem(try await live.send("GET", "/v1/users/me", token: token), 403, "user_needed")
            live.expectProblem(try await live.send("DELETE", "/v1/sessions", token: token), 403, "user_needed")
            live.expectProblem(
                try await live.send("POST", "/v1/admin/users:search", token: token, json: "{}"), 403, "role_missing")
            #expect(live.test.auth.contexts.isEmpty, "no service was asked")
        }
    }

    /// Nothing that comes before the services traps.
    @Test func formsOfAnyBytesHaveAnAnswer() {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &random)
        var state = seed
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let alphabet = Array("grant_type=&%+2Fclient_id:secret".utf8) + [0, 0xff, 0xc3]
        let message = MessageDescriptor(
            name: "M", fields: [FieldDescriptor(name: "grant_type", number: 1, kind: .string)])
        for _ in 0..<20_000 {
            let body = (0..<Int(next() % 40)).map { _ in alphabet[Int(next() % UInt64(alphabet.count))] }
            let header = "Basic " + Data(body).base64EncodedString()
            do {
                let members = try OAuthForm.members(
                    body: body, authorization: next() % 2 == 0 ? [] : [header], of: message)
                #expect(members.count <= 1)
            } catch {
                #expect([400, 401].contains(error.status), "seed \(seed)")
            }
        }
    }
}
