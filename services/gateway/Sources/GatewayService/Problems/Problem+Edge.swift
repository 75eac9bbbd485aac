package import RPCCore

/// The problems that the gateway itself finds.
extension Problem {
    package static let notFound = Problem(404, "not_found", "No such route; /openapi.json lists the routes.")

    package static func wrongVerb(allowed: [String]) -> Problem {
        let list = allowed.joined(separator: ", ")
        return Problem(
            405, "method_not_allowed", "This path takes \(list).", headers: [HTTPHeader("Allow", list)])
    }

    package static func badTarget(_ flaw: RequestTarget.Flaw) -> Problem {
        Problem(flaw == .tooLong ? 414 : 400, flaw == .tooLong ? "uri_too_long" : "malformed_path", flaw.sentence)
    }

    /// - Parameter limit: Bytes.
    package static func bodyTooLarge(limit: Int) -> Problem {
        Problem(413, "request_too_large", "The body is larger than the \(limit) bytes that this route takes.")
    }

    package static let bodyTimeout = Problem(
        408, "body_timeout", "The body did not arrive in time; send it again without pauses.")
    package static let bodyNotExpected = Problem(400, "body_not_expected", "This route takes no body.")
    package static let malformedRequest = Problem(400, "malformed_request", "The request is not well-formed HTTP.")
    package static let headersTooLarge = Problem(
        431, "headers_too_large", "The header section is larger than this server takes.")
    package static let clientGone = Problem(499, "cancelled", "The client closed the connection.")

    package static let wrongMediaType = Problem(
        415, "unsupported_media_type", "Send the body as application/json, in UTF-8 and without content coding.",
        headers: [HTTPHeader("Accept", "application/json")])

    package static func malformedJSON(_ error: JSONError) -> Problem {
        Problem(
            400, "malformed_json",
            "The body is not valid JSON: \(error.reason) at line \(error.line), column \(error.column).")
    }

    package static func invalid(_ violations: [FieldViolation]) -> Problem {
        let names = violations.map(\.field).joined(separator: ", ")
        return Problem(400, "invalid_request", "The request is not valid: \(names).", errors: violations)
    }

    package static let missingToken = Problem(
        401, "unauthenticated", "Sign in first: send an access token as \"Authorization: Bearer ...\".",
        headers: [.bearerChallenge])

    /// One answer for every token that is not good, except that an expired one says so: that is what clients act on.
    package static let invalidToken = Problem(
        401, "invalid_token", "The access token is not valid; sign in again.", headers: [.invalidTokenChallenge])
    package static let expiredToken = Problem(
        401, "token_expired", "The access token has expired; exchange the refresh token for a new one.",
        headers: [.invalidTokenChallenge])
    package static let revokedSession = Problem(
        401, "session_revoked", "The session has ended; sign in again.", headers: [.invalidTokenChallenge])

    package static let forbidden = Problem(403, "role_missing", "This needs a role that the user does not have.")

    /// A machine client is nobody, so nothing is its own.
    package static let userNeeded = Problem(403, "user_needed", "This is for signed-in users, not for clients.")

    package static func rateLimited(retryAfter: Duration) -> Problem {
        Problem(
            429, "rate_limited", "Too many requests; wait as long as Retry-After says.",
            headers: [.retryAfter(retryAfter)])
    }

    /// The server, or what is behind it, has as much to do as it takes.
    package static func busy(retryAfter: Duration = .seconds(1)) -> Problem {
        Problem(
            503, "busy", "The server has as many requests as it takes; try again shortly.",
            headers: [.retryAfter(retryAfter)])
    }

    /// Tokens or sessions cannot be checked now. Default deny: nobody gets in unchecked.
    package static let cannotCheckToken = Problem(
        503, "unavailable", "Access tokens cannot be checked at the moment; try again shortly.",
        headers: [.retryAfter(.seconds(1))])

    package static let `internal` = Problem(
        500, "internal", "The request failed; the request id finds the reason in the log.")
}
