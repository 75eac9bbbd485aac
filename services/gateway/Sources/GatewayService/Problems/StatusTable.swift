package import RPCCore

/// The one table from the outcome of a call to an HTTP answer.
package enum StatusTable {
    /// Reasons that services and transports give and that change the row.
    package static let requestTooLarge = "request_too_large"
    static let responseTooLarge = "response_too_large"
    /// The contract does not let this gateway call: our fault, not the client's.
    static let callerNotAllowed = "caller_not_allowed"

    /// The HTTP status of `code`. `ok` has none of its own: the route says it.
    package static func status(of code: StatusCode) -> Int {
        switch code {
        case .ok: 200
        case .invalidArgument, .outOfRange: 400
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .aborted, .failedPrecondition: 409
        case .cancelled: 499
        case .unknown, .internal, .dataLoss: 500
        case .unimplemented: 501
        // 429 is the gateway's own limiter's: what is exhausted behind it is capacity, and not the client's doing.
        case .unavailable, .resourceExhausted: 503
        case .deadlineExceeded: 504
        }
    }

    /// The answer for a failed call of `method`.
    ///
    /// Texts of services reach clients only where they are about the client's own request; what failed inside is told
    /// in general terms, and the request id finds the rest in the log.
    package static func problem(of error: RPCError, calling method: MethodDescriptor) -> Problem {
        if error.reason == callerNotAllowed { return generic(.internal) }
        switch error.code {
        case .resourceExhausted where error.reason == requestTooLarge:
            return .bodyTooLarge(limit: method.requestLimit)
        case .resourceExhausted where error.reason == responseTooLarge: return generic(.internal)
        case .resourceExhausted: return .busy(retryAfter: error.retryAfter ?? defaultRetry)
        case .ok, .unknown, .internal, .dataLoss, .unavailable, .deadlineExceeded, .unimplemented, .cancelled:
            return generic(error.code, error.retryAfter)
        default:
            return Problem(
                status(of: error.code), code(of: error), error.message, errors: error.violations,
                headers: headers(error.code, error.retryAfter))
        }
    }

    /// The service's own word, when it is one; else the status's name.
    private static func code(of error: RPCError) -> String {
        error.reason.isEmpty ? error.code.name.lowercased() : error.reason
    }

    private static func generic(_ code: StatusCode, _ retryAfter: Duration? = nil) -> Problem {
        let status = code == .ok ? 500 : status(of: code)
        return switch status {
        case 499: Problem(status, "cancelled", "The request was cancelled.")
        case 501: Problem(status, "unimplemented", "The service does not offer this yet.")
        case 503:
            Problem(
                status, "unavailable", "A service behind this one is not available; try again shortly.",
                headers: headers(.unavailable, retryAfter))
        case 504: Problem(status, "deadline_exceeded", "The request took longer than it may; try again.")
        default: Problem(500, "internal", "The request failed; the request id finds the reason in the log.")
        }
    }

    private static func headers(_ code: StatusCode, _ retryAfter: Duration?) -> [HTTPHeader] {
        switch code {
        case .unauthenticated: [.bearerChallenge]
        case .unavailable: [.retryAfter(retryAfter ?? defaultRetry)]
        default: retryAfter.map { [.retryAfter($0)] } ?? []
        }
    }

    private static let defaultRetry = Duration.seconds(1)
}

extension HTTPHeader {
    /// RFC 6750, section 3: no credentials were given, or other ones than a bearer token failed.
    package static let bearerChallenge = HTTPHeader("WWW-Authenticate", #"Bearer realm="lockstep""#)
    /// RFC 6750, section 3.1: the bearer token is expired, revoked, malformed or foreign.
    package static let invalidTokenChallenge = HTTPHeader(
        "WWW-Authenticate", #"Bearer realm="lockstep", error="invalid_token""#)

    /// Whole seconds, rounded up, at least one.
    package static func retryAfter(_ duration: Duration) -> HTTPHeader {
        let (seconds, attoseconds) = duration.components
        return HTTPHeader("Retry-After", String(max(1, seconds + (attoseconds > 0 ? 1 : 0))))
    }
}
