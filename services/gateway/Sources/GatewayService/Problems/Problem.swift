package import RPCCore

/// What went wrong, for people and programs: the body of every answer that is no success (RFC 9457).
package struct Problem: Error, Sendable, Hashable {
    /// Where the types of problems are named. The codes are stable; nothing has to be served there.
    package static let typePrefix = "https://lockstep.local/problems/"
    package static let mediaType = "application/problem+json"

    /// The HTTP status.
    package var status: Int
    /// A stable word for programs: `invalid_request`, `rate_limited`.
    package var code: String
    /// A sentence for people that says what to do. Never a value from the request, a secret or an internal name.
    package var detail: String
    /// The fields that are wrong, when that is why.
    package var errors: [FieldViolation]
    /// Headers that belong to the status: `Allow`, `Retry-After`, `WWW-Authenticate`.
    package var headers: [HTTPHeader]

    package init(
        _ status: Int, _ code: String, _ detail: String, errors: [FieldViolation] = [], headers: [HTTPHeader] = []
    ) {
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
    }

    package var type: String { Self.typePrefix + code }
    package var title: String { HTTPStatus.title(of: status) }

    /// The body: the members of RFC 9457, and `code`, `request_id` and `errors` of our own.
    package func json(requestID: String) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", .string(type)), .init("title", .string(title)), .init("status", .int(Int64(status))),
            .init("detail", .string(detail)), .init("code", .string(code)), .init("request_id", .string(requestID)),
        ]
        if !errors.isEmpty {
            members.append(.init("errors", .array(errors.map(Self.json))))
        }
        return .object(members)
    }

    private static func json(_ violation: FieldViolation) -> JSONValue {
        .object([.init("field", .string(violation.field)), .init("message", .string(violation.message))])
    }
}

/// One header of an answer.
package struct HTTPHeader: Sendable, Hashable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The titles of the statuses that this gateway answers with (RFC 9110, section 15; RFC 6585).
package enum HTTPStatus {
    package static func title(of status: Int) -> String { titles[status] ?? "Error" }

    private static let titles = [
        400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 414: "URI Too Long",
        415: "Unsupported Media Type", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        499: "Client Closed Request", 500: "Internal Server Error", 501: "Not Implemented",
        503: "Service Unavailable", 504: "Gateway Timeout",
    ]
}
