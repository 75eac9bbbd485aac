import Contracts
import RPCCore
import Testing

@testable import GatewayService

@Suite struct RouteTableTests {
    let table: RouteTable

    init() throws { table = try RouteTable(codings: Contract.codings) }

    /// What a request line leads to, in a word.
    func look(_ verb: String, _ target: String) -> String {
        guard let parsed = try? RequestTarget(parsing: target) else { return "malformed" }
        switch table.match(verb: verb, segments: parsed.segments) {
        case .found(let endpoint, let fields):
            let name = endpoint.name.split(separator: "/").last.map(String.init) ?? endpoint.name
            return fields.isEmpty ? name : name + " " + fields.map { "\($0)=\($1)" }.sorted().joined(separator: ",")
        case .wrongVerb(let allowed): return "405 " + allowed.joined(separator: ",")
        case .notFound: return "404"
        }
    }

    @Test(
        "every route of the HTTP surface leads to its method",
        arguments: [
            ("POST", "/v1/users", "Register"),
            ("POST", "/v1/email-verifications", "VerifyEmail"),
            ("POST", "/v1/email-verifications:resend", "ResendVerification"),
            ("POST", "/v1/sessions", "CreateSession"),
            ("POST", "/v1/tokens", "RefreshTokens"),
            ("GET", "/v1/users/me", "GetUser"),
            ("PUT", "/v1/users/me/password", "ChangePassword"),
            ("GET", "/v1/sessions", "ListSessions"),
            ("DELETE", "/v1/sessions", "RevokeAllSessions"),
            ("DELETE", "/v1/sessions/current", "RevokeCurrentSession"),
            ("DELETE", "/v1/sessions/ses_1", "RevokeSession session_id=ses_1"),
            ("POST", "/v1/password-reset-requests", "RequestPasswordReset"),
            ("POST", "/v1/password-resets", "ResetPassword"),
            ("GET", "/v1/users/me/audit-events?page_size=10", "ListAuditEvents"),
            ("POST", "/v1/admin/users:search", "SearchUsers"),
            ("GET", "/v1/admin/users/usr_1", "GetAccount user_id=usr_1"),
            ("PUT", "/v1/admin/users/usr_1/roles/responder", "GrantRole role=responder,user_id=usr_1"),
            ("DELETE", "/v1/admin/users/usr_1/roles/responder", "RevokeRole role=responder,user_id=usr_1"),
            ("PUT", "/v1/admin/users/usr_1/disabled", "DisableUser user_id=usr_1"),
            ("DELETE", "/v1/admin/users/usr_1/disabled", "EnableUser user_id=usr_1"),
            ("DELETE", "/v1/admin/users/usr_1/factors", "ResetFactors user_id=usr_1"),
            ("POST", "/v1/users/me/factors", "CreateFactor"),
            ("GET", "/v1/users/me/factors", "ListFactors"),
            ("POST", "/v1/users/me/factors/fac_1/confirmations", "ConfirmFactor factor_id=fac_1"),
            ("DELETE", "/v1/users/me/factors/fac_1", "DeleteFactor factor_id=fac_1"),
            ("POST", "/v1/users/me/recovery-codes", "CreateRecoveryCodes"),
            ("POST", "/v1/sessions:second-factor", "CompleteSession"),
            ("POST", "/v1/sessions/current/second-factors", "StepUp"),
            ("POST", "/v1/sessions/current/passkey-challenges", "BeginPasskeyStepUp"),
            ("POST", "/v1/sessions/current/passkeys", "StepUpWithPasskey"),
            ("PUT", "/v1/admin/users/usr_1/tier", "SetTier user_id=usr_1"),
            ("POST", "/v1/users/me/address-changes", "ChangeAddress"),
            ("POST", "/v1/address-confirmations", "ConfirmAddress"),
            ("GET", "/v1/users/me/data", "ExportUserData"),
            ("POST", "/v1/users/me/deletions", "DeleteUser"),
            ("POST", "/v1/admin/token-versions", "RaiseTokenVersion"),
            ("POST", "/v1/admin/audit-events:search", "SearchAuditEvents"),
            ("GET", "/v1/providers", "ListProviders"),
            ("POST", "/v1/connections", "CreateConnection"),
            ("GET", "/v1/connections", "ListConnections"),
            ("GET", "/v1/connections/callback?state=a&code=b", "CompleteConnection"),
            ("GET", "/v1/connections/con_1/access-token", "GetAccessToken connection_id=con_1"),
            ("DELETE", "/v1/connections/con_1", "DeleteConnection connection_id=con_1"),
            ("GET", "/.well-known/jwks.json", "JWKS"),
            ("GET", "/openapi.json", "openapi.json"),
            ("GET", "/healthz", "healthz"),
            ("GET", "/readyz", "readyz"),
        ])
    func surface(verb: String, target: String, expected: String) { #expect(look(verb, target) == expected) }

    @Test func nothingElseIsRouted() {
        #expect(table.routes.count == 58)
        #expect(table.routes.allSatisfy { $0.method.exposure != .internal })
    }

    @Test(
        "a path matches byte for byte or not at all",
        arguments: [
            "/v1/users/", "//v1/users", "/v1//users", "/V1/users", "/v1/Users", "/v1/users/.", "/v1/./users",
            "/v1/sessions/../users", "/v1%2fusers", "/v1/users%2f", "/v1/users%2Fme", "/v1/users;x=1", "/v1/users%20",
            "/", "", "/v1", "/v1/email-verifications:other", "/v1/email-verifications%3aresend/",
            "/v1/sessions/", "/v1/connections//access-token", "/lockstep.auth.v1.AuthService/WatchRevocations",
        ])
    func confusion(target: String) {
        #expect(["404", "malformed"].contains(look("POST", target)))
    }

    @Test func anEncodedSlashStaysInItsSegment() {
        #expect(look("DELETE", "/v1/sessions/a%2Fb") == "RevokeSession session_id=a/b")
        #expect(look("DELETE", "/v1/sessions/%2e%2e") == "RevokeSession session_id=..")
    }

    @Test func encodedLettersAreTheLetters() {
        #expect(look("GET", "/v1/%75sers/me") == "GetUser")
        #expect(look("GET", "/v1/%2575sers/me") == "404")
    }

    @Test func aLiteralBeatsAParameterForGood() {
        #expect(look("GET", "/v1/sessions/current") == "405 DELETE")
        #expect(look("DELETE", "/v1/connections/callback") == "405 GET")
        #expect(look("DELETE", "/v1/sessions/Current") == "RevokeSession session_id=Current")
    }

    @Test(arguments: ["TRACE", "OPTIONS", "PATCH", "CONNECT", "get", "BREW"])
    func otherVerbsAreRefusedOnKnownPaths(verb: String) {
        #expect(look(verb, "/v1/sessions") == "405 DELETE,GET,HEAD,POST")
        #expect(look(verb, "/v1/nothing") == "404")
    }

    @Test func headIsGet() {
        #expect(look("HEAD", "/v1/users/me") == "GetUser")
        #expect(look("HEAD", "/v1/users") == "405 POST")
        #expect(look("HEAD", "/readyz") == "readyz")
    }

    @Test func headChangesNothing() {
        #expect(look("HEAD", "/v1/connections/callback?state=a&code=b") == "405 GET")
        #expect(look("HEAD", "/v1/connections/con_1/access-token") == "405 GET")
    }

    @Test func twoMethodsWithOneRouteAreRefused() throws {
        let first = try #require(Contract.codings.first { $0.descriptor.http != nil })
        #expect(throws: RouteConflict.self) { try RouteTable(codings: [first, first]) }
    }
}

@Suite struct RequestTargetTests {
    @Test(arguments: ["/a%", "/a%2", "/a%zz", "/a%ff", "/a%00", "/a%0a", "/x?%", "/x?a=%g1", "/x?a=%c3%28"])
    func badEscapesAreMalformed(target: String) {
        #expect(throws: RequestTarget.Flaw.badEscape) { try RequestTarget(parsing: target) }
    }

    @Test func theQueryIsDecodedOnce() throws {
        let target = try RequestTarget(parsing: "/x?a=1+2&b=%252B&c&=d&e=f=g")
        #expect(target.query.map(\.name) == ["a", "b", "c", "", "e"])
        #expect(target.query.map(\.value) == ["1 2", "%2B", "", "d", "f=g"])
    }

    @Test func plusIsAPlusInAPath() throws {
        #expect(try RequestTarget(parsing: "/a+b").segments == ["a+b"])
    }

    @Test func theAbsoluteFormIsTaken() throws {
        #expect(try RequestTarget(parsing: "https://h:1/v1/users?x=1").segments == ["v1", "users"])
        #expect(try RequestTarget(parsing: "http://h").segments == [""])
    }

    @Test(arguments: ["*", "v1/users", "h:443", ""])
    func otherFormsAreNoPaths(target: String) {
        #expect(throws: RequestTarget.Flaw.notAPath) { try RequestTarget(parsing: target) }
    }

    @Test func sizesAreBounded() {
        let long = "/" + String(repeating: "a", count: RequestTarget.maximumLength)
        #expect(throws: RequestTarget.Flaw.tooLong) { try RequestTarget(parsing: long) }
        let many = "/?" + String(repeating: "a&", count: RequestTarget.maximumPairs + 1)
        #expect(throws: RequestTarget.Flaw.tooManyParameters) { try RequestTarget(parsing: many) }
    }
}
