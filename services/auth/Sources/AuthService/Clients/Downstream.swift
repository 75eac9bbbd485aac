internal import RPCCore
internal import ServiceKit

/// A service that auth calls answered with something that is not the caller's fault. The text is for the log.
struct DownstreamFailure: RPCErrorConvertible, LoggableError {
    let service: String
    let error: RPCError

    var rpcError: RPCError {
        RPCError(.internal, "The service failed; the request id finds it in the log.", reason: "internal")
    }

    var logLine: String { "\(service) answered \(error)" }
}

/// Calls another service and turns its refusals into what auth's own caller should see: overload and time are passed
/// on with auth's own sentence, everything else is an internal failure, since the request was auth's.
func calling<T>(_ service: String, _ call: () async throws(RPCError) -> T) async throws -> T {
    do {
        return try await call()
    } catch {
        switch error.code {
        case .cancelled:
            throw CancellationError()
        case .unavailable, .aborted:
            throw AuthError.unavailable(service: service)
        case .resourceExhausted, .deadlineExceeded:
            throw RPCError(
                error.code, "\(service) is too busy at the moment; try again a little later.",
                reason: error.code == .resourceExhausted ? "overloaded" : "deadline_exceeded",
                retryAfter: error.retryAfter ?? .seconds(1))
        default:
            throw DownstreamFailure(service: service, error: error)
        }
    }
}
