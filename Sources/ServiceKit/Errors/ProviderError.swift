package import RPCCore

/// A service outside the house (a financial provider, a mail server) did not do what it was asked.
package struct ProviderError: LoggableError, Hashable {
    package enum Kind: String, Sendable {
        /// No connection, or a failure of the provider's own.
        case unreachable
        /// It understood and said no.
        case rejected
        /// Its answer makes no sense.
        case malformed
        /// It no longer honours what the user once granted.
        case needsReconnection = "needs reconnection"
    }

    package let kind: Kind
    /// Its name in our configuration.
    package let provider: String
    /// For the log alone: a status or an error code, never a body.
    package let detail: String

    package init(_ kind: Kind, provider: String, detail: String = "") {
        self.kind = kind
        self.provider = provider
        self.detail = detail
    }

    package var logLine: String {
        "provider \(provider) \(kind.rawValue)" + (detail.isEmpty ? "" : ": \(detail)")
    }
}

extension ProviderError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch kind {
        case .unreachable:
            RPCError(
                .unavailable, "\(provider) cannot be reached; try again in a while.", reason: "provider_unavailable")
        case .rejected:
            RPCError(
                .failedPrecondition, "\(provider) refused the request; start the connection over.",
                reason: "provider_rejected")
        case .malformed:
            RPCError(
                .unavailable, "\(provider) answered in a way that makes no sense; try again in a while.",
                reason: "provider_malformed")
        case .needsReconnection:
            RPCError(
                .failedPrecondition, "\(provider) no longer accepts this connection; connect it again.",
                reason: "reconnection_needed")
        }
    }
}
