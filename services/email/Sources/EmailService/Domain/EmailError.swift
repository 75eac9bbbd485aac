package import RPCCore

/// What can go wrong in this service, each with its status and a sentence that a caller can act on.
package enum EmailError: Error, Equatable {
    package struct Problem: Sendable, Equatable {
        package var field: String
        package var message: String
    }

    /// The request breaks a rule.
    case invalid([Problem])
    /// The key was used for other content.
    case idempotencyConflict
    case unknownMessage
    /// The sealed content does not open: wrong key, or the row was tampered with.
    case unreadablePayload
}

extension EmailError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch self {
        case .invalid(let problems):
            .invalid(problems.map { FieldViolation(field: $0.field, message: $0.message) })
        case .idempotencyConflict:
            RPCError(
                .alreadyExists,
                "This idempotency_key was used for a message with other content. Use a new key for a new message.",
                reason: "idempotency_conflict")
        case .unknownMessage:
            RPCError(.notFound, "There is no such message, or it ended too long ago.", reason: "unknown_message")
        case .unreadablePayload:
            RPCError(.internal, "The message could not be read back.", reason: "internal")
        }
    }
}
