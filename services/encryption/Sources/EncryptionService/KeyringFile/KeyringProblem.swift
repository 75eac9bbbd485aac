/// Why the keyring cannot be opened. Each text names the file and the next step; a process with such a problem does not
/// start.
package enum KeyringProblem: Error, Equatable, Sendable {
    case missing(path: String)
    /// There was a keyring here: the mark beside it says so.
    case lost(path: String, mark: String)
    case masterKeyMissing(path: String)
    case masterKeyLost(path: String, keyring: String)
    case masterKeyMalformed(path: String)
    case wrongMasterKey(path: String, keyring: String)
    /// Readable or writable by others, or another user's.
    case notPrivate(path: String, found: String)
    case corrupt(path: String, reason: String)
    case unknownFormat(path: String, version: UInt16)
    case keyMissing(name: String, path: String)
    case wrongUsage(name: String, path: String, expected: String)
    case inUse(path: String)
    /// The audit log does not hold, or does not end after, the record that the keyring knows.
    case auditMismatch(path: String, sequence: UInt64, reason: String)
    case io(path: String, operation: String, reason: String)
    case crypto(String)
}

extension KeyringProblem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let path):
            "There is no keyring at \(path). For a first start set encryption.keyring.create = true; "
                + "otherwise correct encryption.keyring.file or restore the file."
        case .lost(let path, let mark):
            "The keyring \(path) is gone, though one was made there. Restore it from a backup. Without it, "
                + "everything it sealed is lost; only if that is acceptable, remove \(mark) and start again."
        case .masterKeyMissing(let path):
            "There is no master key at \(path). For a first start set encryption.keyring.create = true; "
                + "otherwise correct encryption.keyring.master_key_file or restore the file."
        case .masterKeyLost(let path, let keyring):
            "The master key \(path) is gone, but \(keyring) is sealed under it. Restore the file from a backup; "
                + "a new master key cannot open this keyring."
        case .masterKeyMalformed(let path):
            "The master key \(path) is not 64 hexadecimal digits. Restore the file from a backup."
        case .wrongMasterKey(let path, let keyring):
            "The master key \(path) is not the one that sealed \(keyring). Restore the right one, or the keyring "
                + "that belongs to this one."
        case .notPrivate(let path, let found):
            "The file \(path) must be a regular file that only its owner, the user of this process, may use, "
                + "but \(found). Run: chmod 600 \(path)"
        case .corrupt(let path, let reason):
            "The keyring \(path) is damaged: \(reason). Restore it from a backup."
        case .unknownFormat(let path, let version):
            "The keyring \(path) has format \(version), which this release does not know. Start the release that "
                + "wrote it."
        case .keyMissing(let name, let path):
            "The keyring \(path) has no key \(name), which encryption.keyring.keys asks for. Set "
                + "encryption.keyring.create = true to make it, or correct encryption.keyring.keys."
        case .wrongUsage(let name, let path, let expected):
            "The key \(name) in \(path) is not of the usage \(expected) that encryption.keyring.keys says. "
                + "Correct encryption.keyring.keys."
        case .inUse(let path):
            "Another process uses the keyring (it holds \(path)). Stop it first: one keyring has one process."
        case .auditMismatch(let path, let sequence, let reason):
            "The audit log \(path) does not fit the keyring, which knows record \(sequence): \(reason). Restore it "
                + "from a backup. To go on in a new file, move what is there away and set encryption.audit.begin_after = \(sequence)."
        case .io(let path, let operation, let reason):
            "Cannot \(operation) \(path): \(reason)."
        case .crypto(let reason):
            "The crypto library failed: \(reason)."
        }
    }
}
