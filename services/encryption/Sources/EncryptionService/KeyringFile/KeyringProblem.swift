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
    /// A PKCS #11 token, or its module, does not do what it should.
    case token(module: String, reason: String)
    /// Readable or writable by others, or another user's.
    case notPrivate(path: String, found: String)
    case corrupt(path: String, reason: String)
    case unknownFormat(path: String, version: UInt16)
    /// More keys than a keyring holds: no process would open it again, so it is not written.
    case tooManyKeys(path: String)
    /// More versions of a key than it has.
    case tooManyVersions(key: String, path: String)
    /// Longer than what is read.
    case tooLong(path: String)
    case keyMissing(name: String, path: String, origin: KeySpecification.Origin = .keys)
    case wrongUsage(name: String, path: String, expected: String, origin: KeySpecification.Origin = .keys)
    case inUse(path: String)
    /// The file was replaced by an earlier one while it was in use.
    case older(path: String, generation: UInt64, known: UInt64)
    /// The database holds an earlier keyring than the one that this process uses.
    case sharedOlder(generation: UInt64, known: UInt64)
    /// The database holds a keyring that somebody made of an earlier one than this process uses.
    case sharedForked(generation: UInt64)
    /// The database holds an earlier keyring than a process of this host has seen: the mark says so.
    case sharedPutBack(generation: UInt64, known: UInt64, mark: String)
    /// The source holds other master keys than the one under which a shared keyring is sealed.
    case masterKeyNotTaken(path: String)
    /// Another command replaces the master key.
    case masterKeyLocked(path: String)
    /// The token refused the PIN: it is not tried again before somebody changes something.
    case pinRefused(module: String, reason: String)
    /// Another process has changed the keyring: whoever wants to change it loads it first. Never seen outside.
    case superseded
    /// The database that holds the keyring does not answer.
    case unreachable(reason: String)
    /// The database holds no keyring, and there is one in a file.
    case notMoved(path: String)
    /// A keyring in a file, where one in a database is used.
    case movedAway(path: String, mark: String)
    /// Uses of keys are told of by one process with a log of its own.
    case usesNotShared
    /// The database holds a keyring already, so that none can be moved there.
    case alreadyThere
    /// What arrived in the database is not what left.
    case movedOtherwise(path: String)
    /// The database holds no keyring any more: the mark says that it did.
    case sharedLost(mark: String)
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
            "The master key \(path) is not 64 hexadecimal digits, or `pkcs11:` and 120. Restore the file from a backup."
        case .wrongMasterKey(let path, let keyring):
            "The master key \(path) is not the one that sealed \(keyring). Restore the right one, or the keyring "
                + "that belongs to this one."
        case .token(let module, let reason): "PKCS #11\(module.isEmpty ? "" : ", \(module)"): \(reason)."
        case .notPrivate(let path, let found):
            "The file \(path) must be a regular file that only its owner, the user of this process, may use, "
                + "but \(found). Run: chmod 600 \(path)"
        case .corrupt(let path, let reason):
            "The keyring \(path) is damaged: \(reason). Restore it from a backup."
        case .unknownFormat(let path, let version):
            "The keyring \(path) has format \(version), which this release does not know. Start the release that "
                + "wrote it."
        case .tooManyKeys(let path):
            "The keyring \(path) would hold more than \(Keyring.maximumKeys) keys, the most there may be. It was left as it is. Take "
                + "keys out of encryption.keyring.keys, or destroy some that nobody needs (`lockstep keys destroy`)."
        case .tooManyVersions(let key, let path):
            "The key \(key) in \(path) would have more than \(Keyring.maximumVersions) versions, the most there may be. The keyring "
                + "was left as it is. Make a key of another name."
        case .tooLong(let path):
            "The keyring's file \(path) would be longer than \(KeyringCodec.maximumCount >> 20) MiB, the most that is read. It was "
                + "left as it is. Destroy keys of many versions that nobody needs (`lockstep keys destroy`)."
        case .keyMissing(let name, let path, .keys):
            "The keyring \(path) has no key \(name), which encryption.keyring.keys asks for. Set "
                + "encryption.keyring.create = true to make it, or correct encryption.keyring.keys."
        case .keyMissing(let name, let path, .pepper):
            "The keyring \(path) has no key \(name), which encryption.password.pepper_key asks for. Correct the name; where "
                + "passwords were hashed with the key already, restore the keyring that holds it; only otherwise set "
                + "encryption.keyring.create = true to make it."
        case .keyMissing(let name, let path, .formerPepper):
            "The keyring \(path) has no key \(name), which encryption.password.former_pepper_keys asks for. It is not made anew: "
                + "correct the name, or restore the keyring that holds the key. Take the name out only when no hash of it is "
                + "stored any more."
        case .wrongUsage(let name, let path, let expected, let origin):
            "The key \(name) in \(path) is not of the usage \(expected) that \(origin.rawValue) says. "
                + "Correct \(origin.rawValue)."
        case .inUse(let path):
            "Another process uses the keyring (it holds \(path)). Stop it first: one keyring has one process."
        case .older(let path, let generation, let known):
            "The keyring \(path) was replaced by an earlier one (generation \(generation), and \(known) is in use). The one "
                + "in use goes on, and the next change of a key replaces the file. To go back to the earlier one stop the "
                + "service first."
        case .sharedOlder(let generation, let known):
            "The database of encryption.keyring.database was put back: its keyring has generation \(generation), and \(known) is in "
                + "use. The one in use goes on in this process, and holds what may be the only copies of its newest keys: do not stop "
                + "it before the database holds generation \(known) again."
        case .sharedForked(let generation):
            "The database of encryption.keyring.database holds a keyring that was made of an earlier one than generation "
                + "\(generation), which is in use here. The one in use goes on in this process, and holds what may be the only copies "
                + "of its newest keys. Decide which of the two is to stay; to take over the one in the database stop this process first."
        case .sharedPutBack(let generation, let known, let mark):
            "The database of encryption.keyring.database was put back: its keyring has generation \(generation), and a process of "
                + "this host has used \(known). Restore the later one. Without it, what was sealed under keys that it alone has is lost; "
                + "only if that is acceptable, stop all processes, remove \(mark) on each host, start again, and rotate all AEAD keys."
        case .masterKeyNotTaken(let path):
            "\(path) does not hold the master key under which the keyring in encryption.keyring.database is sealed, neither alone nor "
                + "as `next` or `old`. The one in use goes on in this process, which would not start again: put the right file there. To "
                + "replace the master key call `lockstep keys master rotate`."
        case .masterKeyLocked(let path):
            "Another command replaces the master key (it holds \(path)). Wait until it has ended, then call this again."
        case .pinRefused(let module, let reason): "PKCS #11, \(module): \(reason)."
        case .superseded: "Another process has changed the keyring meanwhile."
        case .unreachable(let reason):
            "The database of encryption.keyring.database does not answer as it should: \(reason)."
        case .notMoved(let path):
            "The database of encryption.keyring.database holds no keyring, but there is one at \(path). Move it with "
                + "`lockstep keys move`, or remove the setting."
        case .movedAway(let path, let mark):
            "The keyring of \(path) is in a database: \(mark) says so. Set encryption.keyring.database again. Only if that keyring is "
                + "given up for one in a file, remove \(mark)."
        case .usesNotShared:
            "encryption.audit.uses and encryption.keyring.database exclude each other: take one of them out."
        case .alreadyThere:
            "The database of encryption.keyring.database holds a keyring already. Nothing was moved."
        case .movedOtherwise(let path):
            "What the database holds is not what \(path) does. The file was left as it is; empty the database's tables keyring "
                + "and keyring_reserves before you try again."
        case .sharedLost(let mark):
            "The database of encryption.keyring.database holds no keyring, though this process used one there. Restore "
                + "it from a backup. Without it, everything it sealed is lost; only if that is acceptable, remove \(mark) and "
                + "start again."
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
