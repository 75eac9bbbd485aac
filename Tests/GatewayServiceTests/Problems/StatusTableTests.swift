import Contracts
import RPCCore
import Testing

@testable import GatewayService

@Suite struct StatusTableTests {
    static let method = AuthServiceContract.createSession
    static let expected: [StatusCode: Int] = [
        .ok: 200, .cancelled: 499, .unknown: 500, .invalidArgument: 400, .deadlineExceeded: 504, .notFound: 404,
        .alreadyExists: 409, .permissionDenied: 403, .resourceExhausted: 503, .failedPrecondition: 409, .aborted: 409,
        .outOfRange: 400, .unimplemented: 501, .internal: 500, .unavailable: 503, .dataLoss: 500,
        .unauthenticated: 401,
    ]
    /// Codes whose text is about the client's own request.
    static let spoken: Set<StatusCode> = [
        .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .failedPrecondition, .aborted, .outOfRange,
        .unauthenticated,
    ]

    @Test(arguments: StatusCode.allCases)
    func everyCodeHasItsStatus(code: StatusCode) {
        #expect(StatusTable.status(of: code) == Self.expected[code])
        guard code != .ok else { return }
        let error = RPCError(code, "the text", reason: "the_reason", retryAfter: .milliseconds(1500))
        let problem = StatusTable.problem(of: error, calling: Self.method)
        #expect(problem.status == Self.expected[code])
        #expect(problem.title != "Error")
        #expect((problem.detail == "the text") == Self.spoken.contains(code))
        #expect((problem.code == "the_reason") == Self.spoken.contains(code))
    }

    @Test func anErrorThatSaysItWentWellDidNot() {
        #expect(StatusTable.problem(of: RPCError(.ok, ""), calling: Self.method).status == 500)
    }

    @Test func withoutAReasonTheCodeIsTheStatusName() {
        #expect(StatusTable.problem(of: RPCError(.notFound, ""), calling: Self.method).code == "not_found")
    }

    @Test func headersBelongToTheirStatus() {
        func headers(_ code: StatusCode, _ retry: Duration? = nil) -> [HTTPHeader] {
            StatusTable.problem(of: RPCError(code, "", retryAfter: retry), calling: Self.method).headers
        }
        #expect(headers(.unauthenticated) == [.bearerChallenge])
        #expect(headers(.unavailable) == [HTTPHeader("Retry-After", "1")])
        #expect(headers(.unavailable, .milliseconds(2001)) == [HTTPHeader("Retry-After", "3")])
        #expect(headers(.resourceExhausted, .zero) == [HTTPHeader("Retry-After", "1")])
        #expect(headers(.notFound) == [])
        #expect(headers(.internal, .seconds(9)) == [])
    }

    @Test(arguments: ["busy", "overloaded", ""])
    func aServiceThatIsFullIsNamedNowhere(reason: String) {
        let error = RPCError(
            .resourceExhausted, "encryption is too busy at the moment", reason: reason, retryAfter: .seconds(3))
        let problem = StatusTable.problem(of: error, calling: Self.method)
        #expect(problem == .busy(retryAfter: .seconds(3)))
        #expect(problem.status == 503 && problem.code == "busy")
        #expect(!problem.detail.contains("encryption"))
    }

    @Test func anAnswerTooLargeIsOurFault() {
        let error = RPCError(.resourceExhausted, "", reason: "response_too_large")
        #expect(StatusTable.problem(of: error, calling: Self.method).status == 500)
    }

    @Test func aRequestTooLargeIs413() {
        let error = RPCError(.resourceExhausted, "", reason: "request_too_large")
        #expect(StatusTable.problem(of: error, calling: Self.method).status == 413)
    }

    @Test func ourOwnMissingRightIsNotTheClientsFault() {
        let error = RPCError(.permissionDenied, "gateway may not", reason: "caller_not_allowed")
        #expect(StatusTable.problem(of: error, calling: Self.method).status == 500)
    }

    @Test func violationsTravel() {
        let error = RPCError.invalid([FieldViolation(field: "password", message: "Too short.")])
        let problem = StatusTable.problem(of: error, calling: Self.method)
        let json = problem.json(requestID: "req_1")
        #expect(json["code"] == .string("invalid_request"))
        #expect(json["request_id"] == .string("req_1"))
        #expect(json["type"] == .string("https://lockstep.local/problems/invalid_request"))
        #expect(
            json["errors"]
                == .array([.object([.init("field", .string("password")), .init("message", .string("Too short."))])]))
    }
}
