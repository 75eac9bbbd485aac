/// How OAuth endpoints answer (RFC 6749, sections 5.1 and 5.2).
extension GatewayResponse {
    /// Errors that RFC 6749 (5.2) and RFC 7009 (2.2.1) name, and the two of 4.1.2.1 for what the server lacks.
    package static let oauthErrors: Set<String> = [
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
        "invalid_scope", "unsupported_token_type",
    ]

    static func oauth(_ problem: Problem) -> GatewayResponse {
        let (status, error) = oauthError(problem)
        var headers = problem.headers.filter { $0.name != "WWW-Authenticate" && $0.name != "Accept" }
        if status == 401 { headers.append(.basicChallenge) }
        let body = JSONValue.object([
            .init("error", .string(error)), .init("error_description", .string(oauthText(problem.detail))),
        ])
        return GatewayResponse(
            status: status, headers: [.init("Content-Type", "application/json"), .noStore, .noCache] + headers, body: body.utf8)
    }

    private static func oauthError(_ problem: Problem) -> (status: Int, error: String) {
        switch problem.status {
        case 429, 503, 504: (problem.status, "temporarily_unavailable")
        case 500...: (problem.status, "server_error")
        case 401: (401, "invalid_client")
        case 408, 413: (problem.status, "invalid_request")
        default: (400, oauthErrors.contains(problem.code) ? problem.code : "invalid_request")
        }
    }

    /// The characters that `error_description` may have.
    private static func oauthText(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "'" : (0x20...0x7e).contains($0.value) ? $0 : "?" }))
    }
}

extension HTTPHeader {
    /// RFC 7617, section 2.
    static let basicChallenge = HTTPHeader("WWW-Authenticate", #"Basic realm="lockstep", charset="UTF-8""#)
    /// RFC 6749, section 5.1.
    static let noCache = HTTPHeader("Pragma", "no-cache")
}
