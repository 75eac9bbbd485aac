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
    case tooManyKeys
    case keyExists(String)
    /// What is to be imported is in the keyring, under this name.
    case keyHasAnotherName(String)
    case keyDisabled(key: String)
    case keyPendingDestruction(key: String)
    case notPendingDestruction(key: String)
    /// Configuration says that it must exist.
    case keyInUse(String)
    case importedKey(String)
    case notExportable(key: String)
    /// The export is not in the audit log yet.
    case exportPending(key: String)
    case wrappingKeyPending
    /// What was imported does not unwrap, or is no key of the wanted kind.
    case importFailed
    /// Another change of the key is asked for and not durable yet.
    case changePending(key: String, String)
    /// The audit log cannot be written.
    case administrationStopped
    /// The database that holds the keyring does not answer.
    case keyringUnreachable
    /// The same, for so long that there may be keys which this process does not know.
    case keyringStale
    case unknownVersion(key: String, UInt32)
    /// A key that is derived for each context, and no context.
    case contextRequired(key: String)
    /// A field of the request, and what it must be.
    case invalid(field: String, String)
    case password(field: String, PasswordProblem)
    case malformedHash
    /// A hash behind a pepper of a key that configuration does not name.
    case pepperUnknown(key: String)
    /// A hash behind a pepper of another key than the one that has its name now.
    case pepperReplaced(key: String, UInt32)
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
                reason: "key_reserve_exhausted", processed: .no, retryAfter: .milliseconds(100))
        case .keyExhausted(let key):
            RPCError(
                .resourceExhausted, "The key \(key) has sealed as many messages as one key may; rotate it.",
                reason: "key_exhausted")
        case .tooManyVersions(let key):
            RPCError(
                .failedPrecondition, "The key \(key) has \(Keyring.maximumVersions) versions, the most there may be.",
                reason: "too_many_key_versions")
        case .tooManyKeys:
            RPCError(
                .resourceExhausted, "There are \(Keyring.maximumKeys) keys, the most there may be.", reason: "too_many_keys")
        case .keyExists(let key): RPCError(.alreadyExists, "There is a key \(key) already.", reason: "key_exists")
        case .keyHasAnotherName(let key):
            RPCError(.alreadyExists, "The key to import is in the keyring already: it is \(key).", reason: "key_has_another_name")
        case .keyDisabled(let key):
            RPCError(.failedPrecondition, "The key \(key) is disabled.", reason: "key_disabled")
        case .keyPendingDestruction(let key):
            RPCError(
                .failedPrecondition, "The key \(key) is to be destroyed. While it is there, that can be cancelled.",
                reason: "key_pending_destruction")
        case .notPendingDestruction(let key):
            RPCError(.failedPrecondition, "The key \(key) is not to be destroyed.", reason: "key_not_pending_destruction")
        case .keyInUse(let key):
            RPCError(
                .failedPrecondition,
                "encryption.keyring.keys says that the key \(key) must exist. Take it out there first.", reason: "key_in_use")
        case .importedKey(let key):
            RPCError(
                .failedPrecondition, "The key \(key) was imported: import the next one under a new name.",
                reason: "key_imported")
        case .notExportable(let key):
            RPCError(
                .failedPrecondition, "The key \(key) was not made exportable, so it never leaves.",
                reason: "key_not_exportable")
        case .exportPending(let key):
            RPCError(
                .unavailable, "The export of \(key) is being written to the audit log; ask again.",
                reason: "export_pending", processed: .no, retryAfter: .milliseconds(100))
        case .wrappingKeyPending:
            RPCError(
                .unavailable, "The wrapping key is being made; ask again.", reason: "wrapping_key_pending",
                processed: .no, retryAfter: .milliseconds(500))
        case .importFailed:
            RPCError(
                .invalidArgument,
                "The wrapped key does not unwrap to a key of this usage. Wrap it anew under what GetWrappingKey gives.",
                reason: "import_failed")
        case .changePending(let key, let action):
            RPCError(
                .unavailable, "Another change of the key \(key) (\(action)) is not done yet; try again.",
                reason: "key_change_pending", processed: .no, retryAfter: .milliseconds(100))
        case .administrationStopped:
            RPCError(
                .unavailable,
                "The audit log cannot be written, so keys are not administered; the service's log says why. They are used "
                    + "as before.", reason: "key_administration_stopped", processed: .no, retryAfter: .seconds(10))
        case .keyringUnreachable:
            RPCError(
                .unavailable,
                "The keyring's database does not answer, so keys are not administered; the service's log says why. They are "
                    + "used as before.", reason: "keyring_unreachable", processed: .no, retryAfter: .seconds(2))
        case .keyringStale:
            RPCError(
                .unavailable,
                "This process has not reached the keyring's database for so long that there may be keys which it does not "
                    + "know; ask another one, or again.", reason: "keyring_stale", processed: .no, retryAfter: .seconds(1))
        case .unknownVersion(let key, let version):
            RPCError(
                .invalidArgument, "Version \(version) of the key \(key) is not there for this.",
                reason: "unknown_key_version")
        case .contextRequired(let key):
            RPCError.invalid([
                FieldViolation(field: "context", message: "The key \(key) is derived for each context: one is needed.")
            ])
        case .invalid(let field, let sentence):
            RPCError.invalid([FieldViolation(field: field, message: sentence)])
        case .password(let field, let problem):
            RPCError.invalid([FieldViolation(field: field, message: problem.sentence)])
        case .malformedHash:
            RPCError.invalid([
                FieldViolation(field: "password_hash", message: "It must be a bcrypt hash of the form $2b$NN$….")
            ])
        case .pepperUnknown(let key):
            RPCError(
                .failedPrecondition,
                "The hash was made with the pepper of the key \(key), which neither encryption.password.pepper_key nor "
                    + "former_pepper_keys names.", reason: "pepper_unknown")
        case .pepperReplaced(let key, let version):
            RPCError(
                .unavailable,
                "The hash was made with another key than what is version \(version) of \(key) here. Restore the keyring that holds "
                    + "it; no password of it can be verified until then.", reason: "pepper_replaced")
        case .lifetime(let maximum):
            RPCError.invalid([FieldViolation(field: "lifetime_s", message: "It must be \(maximum) seconds at most.")])
        case .invalidToken(let sentence, let expired):
            RPCError(.unauthenticated, sentence, reason: expired ? "token_expired" : "invalid_token")
        case .cryptoFailed:
            RPCError(.internal, "The crypto library failed.", reason: "crypto_failed")
        }
    }
}
