package import RPCCore

/// A service that this one needs answered with something that is not the caller's fault: the request was ours.
///
/// The caller learns whether trying again helps, and never which service it was or what it said; that is for the log.
package struct DownstreamError: LoggableError {
    package let service: String
    package let error: RPCError

    package init(service: String, error: RPCError) {
        self.service = service
        self.error = error
    }

    package var code: StatusCode { error.code }

    package var logLine: String { "\(service) answered \(error)" }
}

extension DownstreamError: RPCErrorConvertible {
    /// When trying again is worth it and the service did not say.
    private static let retryAfter = Duration.seconds(1)

    package var rpcError: RPCError {
        switch error.code {
        case .unavailable, .aborted, .cancelled:
            RPCError(
                .unavailable, "Something that this needs does not answer at the moment; try again shortly.",
                reason: "unavailable", retryAfter: error.retryAfter ?? Self.retryAfter)
        case .resourceExhausted:
            RPCError(
                .unavailable, "There is too much to do at the moment; try again a little later.",
                reason: "overloaded", retryAfter: error.retryAfter ?? Self.retryAfter)
        case .deadlineExceeded:
            RPCError(
                .deadlineExceeded, "This took too long; try again, it may work when there is less to do.",
                reason: "deadline_exceeded", retryAfter: error.retryAfter ?? Self.retryAfter)
        default:
            RPCError(.internal, "The service failed; the request id finds it in the log.", reason: "internal")
        }
    }
}

/// Calls another service, so that its errors reach this service's own caller as `DownstreamError` only.
///
/// - Throws: `DownstreamError`, or `CancellationError` when this side was cancelled.
package func calling<T>(_ service: ServiceName, _ call: () async throws(RPCError) -> T) async throws -> T {
    do {
        return try await call()
    } catch {
        if error.code == .cancelled, Task.isCancelled { throw CancellationError() }
        throw DownstreamError(service: service.rawValue, error: error)
    }
}
