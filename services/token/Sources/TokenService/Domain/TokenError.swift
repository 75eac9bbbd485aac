package import RPCCore

/// What can go wrong in this service, each with its status and a sentence that a caller can act on. No case holds a
/// provider's own words.
package enum TokenError: Error, Equatable {
    case unknownProvider(known: [String])
    case unknownConnection
    case tooManyConnections(Int)
    /// The user has not come back from the provider yet.
    case notConnected
    /// Nothing but the user can bring the tokens back.
    case needsConsent
    /// `state` is unknown, used, expired or somebody else's: callers cannot tell which.
    case invalidState
    /// Neither `code` nor `error` came back.
    case missingCode
    /// RFC 9207: the answer is another server's.
    case wrongIssuer
    case consentRefused
    /// The provider turned the request down, and asking again will not help.
    case providerRefused(provider: String)
    /// The provider cannot be reached or is overloaded.
    case providerUnavailable(provider: String, retryAfter: Duration)
    /// The provider's answer makes no sense.
    case providerMalformed(provider: String)
    /// The sealed tokens do not open: wrong key, or the row was tampered with.
    case unreadableToken
}

extension TokenError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch self {
        case .unknownProvider(let known):
            .invalid([FieldViolation(field: "provider", message: Self.providersSentence(known))])
        case .unknownConnection:
            RPCError(.notFound, "There is no such connection.", reason: "unknown_connection")
        case .tooManyConnections(let limit):
            RPCError(
                .failedPrecondition, "You have \(limit) connections, the most there may be. Delete one first.",
                reason: "too_many_connections")
        case .notConnected:
            RPCError(
                .failedPrecondition, "The connection is not complete: open its authorization_url and consent.",
                reason: "not_connected")
        case .needsConsent:
            RPCError(
                .failedPrecondition,
                "The provider no longer accepts this connection. Delete it and connect again.", reason: "needs_consent")
        case .invalidState, .missingCode, .wrongIssuer, .consentRefused: callbackError
        case .providerRefused, .providerUnavailable, .providerMalformed: providerError
        case .unreadableToken:
            RPCError(.internal, "The connection's tokens could not be read back.", reason: "internal")
        }
    }

    private var callbackError: RPCError {
        switch self {
        case .missingCode:
            .invalid([FieldViolation(field: "code", message: "The provider sends either a code or an error.")])
        case .wrongIssuer:
            RPCError(
                .invalidArgument, "The answer names another provider than the one asked. Connect again.",
                reason: "wrong_issuer")
        case .consentRefused:
            RPCError(
                .failedPrecondition, "Consent was not given. Connect again when you want to give it.",
                reason: "consent_refused")
        default:
            RPCError(
                .invalidArgument,
                "This link was used before, has expired or was started by somebody else. Connect again.",
                reason: "invalid_state",
                violations: [FieldViolation(field: "state", message: "It works once, for a short time.")])
        }
    }

    private var providerError: RPCError {
        switch self {
        case .providerRefused(let provider):
            RPCError(
                .failedPrecondition,
                "\(provider) refused the request. Connect again; if that fails too, an operator must look at it.",
                reason: "provider_refused")
        case .providerUnavailable(let provider, let retryAfter):
            RPCError(
                .unavailable, "\(provider) cannot be reached or is overloaded. Try again later.",
                reason: "provider_unavailable", retryAfter: retryAfter)
        case .providerMalformed(let provider):
            RPCError(
                .unavailable, "\(provider) gave an answer that makes no sense. Try again later.",
                reason: "provider_malformed", retryAfter: Self.retryAfterNonsense)
        default: RPCError(.internal, "The provider failed.", reason: "internal")
        }
    }

    /// When a provider that answers nonsense may be asked again.
    static let retryAfterNonsense: Duration = .seconds(30)

    private static func providersSentence(_ known: [String]) -> String {
        known.isEmpty
            ? "No provider is configured." : "There is no such provider; there are \(known.joined(separator: ", "))."
    }
}
