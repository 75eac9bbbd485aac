package import RPCCore

/// Somebody may not do what they ask, or something was changed that nobody may change.
package enum SecurityError: LoggableError, Hashable {
    /// Nobody vouches for the caller, or no longer.
    case unauthenticated(String = "Sign in again: this session is not valid.", reason: String = "unauthenticated")
    /// The caller is known and may not.
    case notAllowed(String, reason: String = "not_allowed")
    /// Stored data failed its integrity check; the name says which, for the log.
    case tampered(String)

    package var logLine: String {
        switch self {
        case .unauthenticated(_, let reason): "not authenticated: \(reason)"
        case .notAllowed(_, let reason): "not allowed: \(reason)"
        case .tampered(let what): "integrity check failed: \(what)"
        }
    }
}

extension SecurityError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch self {
        case .unauthenticated(let message, let reason): RPCError(.unauthenticated, message, reason: reason)
        case .notAllowed(let message, let reason): RPCError(.permissionDenied, message, reason: reason)
        case .tampered:
            RPCError(
                .dataLoss, "Stored data cannot be trusted and was not used; an operator has to look at it.",
                reason: "integrity_failure")
        }
    }
}
