import Contracts
import RPCCore
import SwiftProtobuf
import Testing

@testable import GatewayService

@Suite struct TranscoderTests {
    func route(_ name: String) throws -> Route {
        try #require(Contract.codings.first { $0.descriptor.name == name }.flatMap(Route.init))
    }

    func request(
        _ name: String, path: [String: String] = [:], query: String = "", body: String? = nil
    ) throws -> [UInt8] {
        let pairs = try RequestTarget(parsing: "/?\(query)").query
        return try Transcoder.request(
            of: route(name), path: path, query: pairs, body: body.map { Array($0.utf8) })
    }

    /// The fields that the problem names, sorted.
    func fields(
        _ name: String, path: [String: String] = [:], query: String = "", body: String? = nil
    ) throws -> [String] {
        let problem = try #require(throws: Problem.self) {
            try request(name, path: path, query: query, body: body)
        }
        #expect(problem.status == 400)
        return problem.errors.map(\.field).sorted()
    }

    @Test func aBodyBecomesTheRequest() throws {
        let bytes = try request("CreateSession", body: #"{"email":"ada@example.org","password":"p\u00e4ss"}"#)
        let message = try AuthCreateSessionRequest(serializedBytes: bytes)
        #expect(message.email == "ada@example.org")
        #expect(message.password == "päss")
    }

    @Test func thePathBecomesAField() throws {
        let message = try AuthRevokeSessionRequest(
            serializedBytes: request("RevokeSession", path: ["session_id": "ses_1"]))
        #expect(message.sessionID == "ses_1")
        #expect(try fields("RevokeSession", path: ["session_id": "a/b"]) == ["session_id"])
        #expect(try fields("RevokeSession", path: ["session_id": ".."]) == ["session_id"])
        let long = String(repeating: "a", count: 65)
        #expect(try fields("RevokeSession", path: ["session_id": long]) == ["session_id"])
    }

    @Test func theQueryBecomesFields() throws {
        let bytes = try request("CompleteConnection", query: "state=s%2B1&code=a+b")
        let message = try TokenCompleteConnectionRequest(serializedBytes: bytes)
        #expect(message.state == "s+1")
        #expect(message.code == "a b")
    }

    @Test func wrongQueriesNameTheirParameter() throws {
        #expect(try fields("GetUser", query: "state=s&other=1") == ["state", "other"].sorted())
        #expect(try fields("CompleteConnection", query: "code=s") == ["state"])
        #expect(try fields("GetUser", query: "x=1") == ["x"])
        #expect(try fields("CreateSession", query: "email=a@b.c", body: "{}") == ["email"])
        #expect(try fields("RevokeSession", path: ["session_id": "a"], query: "session_id=b") == ["session_id"])
    }

    /// RFC 6749, sections 4.1.2 and 3.1.
    @Test func aCallbackTakesWhatItKnowsAndOnlyOnce() throws {
        let query = "state=s&scope=a+b&session_state=x&code=c&authuser=0&authuser=1&prompt=consent&error_uri=u"
        let message = try TokenCompleteConnectionRequest(
            serializedBytes: request("CompleteConnection", query: query))
        #expect(message == .with { $0.state = "s"; $0.code = "c" })
        #expect(try fields("CompleteConnection", query: "state=s&state=t") == ["state"])
        #expect(try fields("CompleteConnection", query: "state=s&code=a&scope=b&code=a") == ["code"])
        #expect(try fields("CompleteConnection", query: "scope=b") == ["state"])
    }

    @Test func rulesOfTheContractNameTheirField() throws {
        #expect(try fields("CreateSession", body: "{}") == ["email", "password"])
        #expect(try fields("CreateSession", body: #"{"email":"","password":""}"#) == ["email", "password"])
        #expect(try fields("CreateSession", body: #"{"email":"nobody","password":"x"}"#) == ["email"])
        let long = String(repeating: "x", count: 1025)
        #expect(try fields("Register", body: #"{"email":"a@example.org","password":"\#(long)"}"#) == ["password"])
    }

    @Test func notJSONIsNotARequest() throws {
        let problem = try #require(throws: Problem.self) { try request("CreateSession", body: "{\"email\":") }
        #expect(problem.code == "malformed_json")
        #expect(problem.detail.contains("line 1, column 10"))
    }

    @Test func theAnswerShowsEveryField() throws {
        let json = try Transcoder.response([], of: route("ListSessions"))
        #expect(try JSONReader.read(json)["sessions"] == .array([]))
        let user = try Transcoder.response(
            AuthUser.with { $0.userID = "usr_1" }.serializedBytes(), of: route("GetUser"))
        let value = try JSONReader.read(user)
        #expect(value["email_verified"] == .bool(false))
        #expect(value["user_id"] == .string("usr_1"))
        #expect(value["created_at"] == nil)
    }

    @Test func keysAreExact() throws {
        let edwards = EncryptionJSONWebKey.with {
            $0.kty = "OKP"
            $0.crv = "Ed25519"
            $0.x = "AA"
            $0.kid = "k"
            $0.use = "sig"
            $0.alg = "EdDSA"
        }
        var elliptic = edwards
        elliptic.y = "AA"
        let answer = try EncryptionJWKSResponse.with { $0.keys = [edwards, elliptic] }.serializedBytes() as [UInt8]
        guard case .array(let keys)? = try JSONReader.read(Transcoder.response(answer, of: route("JWKS")))["keys"],
            case .object(let one)? = keys.first, case .object(let other)? = keys.last
        else { return #expect(Bool(false), "no keys") }
        // RFC 7518 section 6.2: elliptic keys have `y`; RFC 8037 section 2: others must not.
        #expect(Set(one.map(\.name)) == ["kty", "crv", "x", "kid", "use", "alg"])
        #expect(Set(other.map(\.name)) == ["kty", "crv", "x", "y", "kid", "use", "alg"])
    }

    @Test func aCookieNeverCarriesAnAttributeOfItsOwn() throws {
        let route = try route("CreateConnection")
        for bad in ["a; Domain=evil.example", "a\r\nX: y", String(repeating: "a", count: 65)] {
            let bytes: [UInt8] = try TokenCreateConnectionResponse.with { $0.browser = bad }.serializedBytes()
            let problem = try #require(throws: Problem.self) { try Transcoder.answer(bytes, of: route) }
            #expect(problem.status == 500)
        }
        let none = try Transcoder.answer([], of: route)
        #expect(none.cookies.isEmpty)
        #expect(try JSONReader.read(none.json)["browser"] == nil)
    }

    @Test func anAnswerThatDoesNotDecodeIsInternal() throws {
        let problem = try #require(throws: Problem.self) {
            try Transcoder.response([0xff, 0xff], of: route("GetUser"))
        }
        #expect(problem.status == 500)
    }
}
