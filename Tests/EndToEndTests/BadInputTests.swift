import Foundation
import Testing

/// One request that is wrong, and how the gateway must say so.
struct BadRequest: Sendable, CustomTestStringConvertible {
    let name: String
    let verb: String
    let path: String
    let body: String?
    var token: String?
    let status: Int
    /// The field that the problem must name, when a field is wrong.
    var field: String?

    var testDescription: String { name }

    static let all = [
        BadRequest(
            name: "malformed JSON", verb: "POST", path: "/v1/users", body: #"{"email":"#, status: 400),
        BadRequest(
            name: "unknown field", verb: "POST", path: "/v1/users",
            body: #"{"email":"a@example.com","password":"a long enough one","admin":true}"#, status: 400, field: "admin"),
        BadRequest(
            name: "wrong type", verb: "POST", path: "/v1/users", body: #"{"email":7,"password":"a long enough one"}"#,
            status: 400, field: "email"),
        BadRequest(
            name: "missing field", verb: "POST", path: "/v1/sessions", body: #"{"email":"a@example.com"}"#, status: 400,
            field: "password"),
        BadRequest(
            name: "bad address", verb: "POST", path: "/v1/users",
            body: #"{"email":"not an address","password":"a long enough one"}"#, status: 400, field: "email"),
        BadRequest(
            name: "weak password", verb: "POST", path: "/v1/users",
            body: #"{"email":"a@example.com","password":"password"}"#, status: 400, field: "password"),
        BadRequest(
            name: "over-long password", verb: "POST", path: "/v1/users",
            body: #"{"email":"a@example.com","password":"\#(String(repeating: "long ", count: 15))"}"#, status: 400,
            field: "password"),
        BadRequest(
            name: "over-long body", verb: "POST", path: "/v1/users",
            body: #"{"email":"a@example.com","password":"\#(String(repeating: "x", count: 300_000))"}"#, status: 413),
        BadRequest(name: "no token", verb: "GET", path: "/v1/users/me", body: nil, status: 401),
        BadRequest(name: "no such token", verb: "GET", path: "/v1/users/me", body: nil, token: "abc.def.ghi", status: 401),
        BadRequest(
            name: "unsigned token", verb: "GET", path: "/v1/users/me", body: nil,
            token: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfMSJ9.", status: 401),
        BadRequest(name: "unknown route", verb: "GET", path: "/v1/nothing", body: nil, status: 404),
        BadRequest(name: "wrong verb", verb: "DELETE", path: "/v1/users", body: nil, status: 405),
        BadRequest(
            name: "unknown verification token", verb: "POST", path: "/v1/email-verifications",
            body: #"{"token":"nothing-that-was-ever-sent"}"#, status: 400),
        BadRequest(
            name: "unknown refresh token", verb: "POST", path: "/v1/tokens",
            body: #"{"refresh_token":"nothing-that-was-ever-sent"}"#, status: 401),
    ]
}

@Suite(.serialized, .runningSystem) struct BadInputTests {
    @Test(arguments: BadRequest.all)
    func isAProblemThatNamesTheField(_ bad: BadRequest) async throws {
        let system = try #require(SystemTrait.current)
        let answer = try await system.curl(bad.path, bad.verb, json: bad.body, token: bad.token)
        #expect(answer.status == bad.status, "\(answer.body)")
        #expect(answer.headers["content-type"]?.hasPrefix("application/problem+json") == true)
        for member in ["type", "title", "detail", "code", "request_id"] {
            #expect(!answer[member].isEmpty, "no \(member) in \(answer.body)")
        }
        if let field = bad.field { #expect(answer.body.contains(#""\#(field)""#), "\(answer.body)") }
        let healthy = try await system.curl("/readyz")
        #expect(healthy.status == 200, "bad input harmed the system: \(healthy.body)")
    }
}
