package import RPCCore

/// What this service refuses, each with its status and a sentence that a caller can act on. No case carries a secret.
package enum EncryptionError: Error, Equatable, Sendable {
    /// The key policy does not grant it.
    case denied(caller: String, key: String, operation: KeyOperation)
    /// Every failure to decrypt: unknown version, wrong key, wrong context, damage. One error, which tells nothing.
    case decryptionFailed
    case unknownKey(String)
    case wrongUsage(key: String, expected: KeyUsage)
    /// The reserve of messages is used up and the keyring thread has not renewed it yet.
    case reserveExhausted(key: String)
    /// The key may never seal another message.
    case keyExhausted(key: String)
    case tooManyVersions(key: String)
    case password(field: String, PasswordProblem)
    case malformedHash
    case lifetime(maximum: UInt32)
    case invalidToken(String, expired: Bool)
    case cryptoFailed
}

extension EncryptionError: RPCErrorConvertible {
    package var rpcError: RPCError {
        switch self {
        case .denied(let caller, let key, let operation):
            RPCError(
                .permissionDenied, "\(caller) may not \(operation.rawValue) with the key \(key).",
                reason: "key_policy_denied")
        case .decryptionFailed:
            RPCError(
                .invalidArgument, "The ciphertext does not decrypt with this key and context.",
                reason: "decryption_failed")
        case .unknownKey(let key):
            RPCError(.notFound, "There is no key \(key).", reason: "unknown_key")
        case .wrongUsage(let key, let expected):
            RPCError(
                .failedPrecondition, "The key \(key) is not for \(expected.rawValue).", reason: "wrong_key_usage")
        case .reserveExhausted(let key):
            RPCError(
                .unavailable, "The key \(key) waits for its next reserve of messages to be written; try again.",
                reason: "key_reserve_exhausted", retryAfter: .seconds(1))
        case .keyExhausted(let key):
            RPCError(
                .resourceExhausted, "The key \(key) has sealed as many messages as one key may; rotate it.",
                reason: "key_exhausted")
        case .tooManyVersions(let key):
            RPCError(
                .failedPrecondition, "The key \(key) has \(Keyring.maximumVersions) versions, the most there may be.",
                reason: "too_many_key_versions")
        case .password(let field, let problem):
            RPCError.invalid([FieldViolation(field: field, message: problem.sentence)])
        case .malformedHash:
            RPCError.invalid([
                FieldViolation(field: "password_hash", message: "It must be a bcrypt hash of the form $2b$NN$….")
            ])
        case .lifetime(let maximum):
            RPCError.invalid([FieldViolation(field: "lifetime_s", message: "It must be \(maximum) seconds at most.")])
        case .invalidToken(let sentence, let expired):
            RPCError(.unauthenticated, sentence, reason: expired ? "token_expired" : "invalid_token")
        case .cryptoFailed:
            RPCError(.internal, "The crypto library failed.", reason: "crypto_failed")
        }
    }
}
