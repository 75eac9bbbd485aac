import Glibc
import Synchronization

/// The audit log's file, appended to by the keyring thread alone and synced before what it tells of happens.
///
/// Each record holds its predecessor's hash, and the sealed keyring holds the last one's. Opening follows all of them, from
/// the file's first line: so records cannot be changed, removed or cut off at the end without it being noticed, be it by
/// someone who may write the file. Nor can the file be emptied, or lose its beginning: a file begins with record 1, or with a
/// record that says where the ones before it are, and such a file is begun only when configuration says after which record.
final class AuditLog: Sendable {
    /// What writes: the system's own, but for tests of what a disk does.
    struct System: Sendable {
        var write: @Sendable (Int32, UnsafeRawBufferPointer) -> Int = { Glibc.write($0, $1.baseAddress, $1.count) }
    }

    private struct File {
        let descriptor: Int32
        let isRegular: Bool
        /// Its length up to the last whole record.
        var end: Int
        var head: AuditHead
    }

    let path: String
    /// The record after which a new file may begin; 0 for none.
    private let beginsAfter: UInt64
    private let clock: MicrosecondClock
    private let system: System
    private let file = Mutex<File?>(nil)

    init(path: String, beginsAfter: UInt64 = 0, clock: @escaping MicrosecondClock, system: System = System()) {
        self.system = system
        self.path = path
        self.beginsAfter = beginsAfter
        self.clock = clock
    }

    deinit { close() }

    func close() {
        if let file = file.withLock({ $0.take() }) { Glibc.close(file.descriptor) }
    }

    /// Writes records for these entries and syncs them, all or none. What a crash left behind is settled first.
    ///
    /// - Parameter known: What the keyring knows of the log.
    /// - Returns: Where the log stands then.
    /// - Throws: `KeyringProblem`: `io`, `auditMismatch` or `notPrivate`. The next call tries anew. After a full disk it goes on
    ///   with the file as it was: following a long one from its first line at each try would help nobody.
    func append(_ entries: [AuditEntry], known: AuditHead) throws(KeyringProblem) -> AuditHead {
        let opened = self.file.withLock { $0.take() }
        var file = if let opened { opened } else { try open(known: known) }
        var isAsBefore = false
        do {
            try write(entries, to: &file, isAsBefore: &isAsBefore)
        } catch {
            if isAsBefore { self.file.withLock { $0 = file } } else { Glibc.close(file.descriptor) }
            throw error
        }
        self.file.withLock { $0 = file }
        return file.head
    }

    private func write(_ entries: [AuditEntry], to file: inout File) throws(KeyringProblem) {
        var isAsBefore = false
        try write(entries, to: &file, isAsBefore: &isAsBefore)
    }

    /// - Parameter isAsBefore: Becomes true when it throws and the file is known to be what it was.
    private func write(_ entries: [AuditEntry], to file: inout File, isAsBefore: inout Bool) throws(KeyringProblem) {
        guard !entries.isEmpty else { return }
        var (head, bytes): (AuditHead, [UInt8]) = (file.head, [])
        let now = clock()
        for entry in entries {
            guard let next = try? AuditRecord.next(entry, after: head, time: entry.time ?? now) else { throw .crypto("no audit record") }
            bytes += next.line
            head = next.record.head
        }
        let code = write(bytes, to: file.descriptor)
        // A device has no sync.
        let isSynced = code == 0 && (fsync(file.descriptor) == 0 || !file.isRegular)
        guard isSynced else {
            let problem = code == 0 ? PrivateFile.failure(path, "sync") : PrivateFile.failure(path, "write", code: code)
            // What is not whole goes, so that the next record begins a line. Should that fail, opening does it.
            let isCut = file.isRegular && ftruncate(file.descriptor, off_t(file.end)) == 0
            isAsBefore = isCut && [ENOSPC, EDQUOT].contains(code)
            throw problem
        }
        file.end += bytes.count
        file.head = head
    }

    /// 0, or the system's number of what went wrong.
    private func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { system.write(descriptor, $0) }
            let code = errno
            if count < 0, code == EINTR { continue }
            guard count > 0 else { return count < 0 ? code : EIO }
            written += count
        }
        return 0
    }

    // MARK: Opening

    private func open(known: AuditHead) throws(KeyringProblem) -> File {
        let mayBegin = known.sequence == 0 || known.sequence == beginsAfter
        let isNew = !PrivateFile.exists(path)
        let creating = mayBegin ? O_CREAT : 0
        let descriptor = Glibc.open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | creating, 0o600)
        guard descriptor >= 0 else {
            if errno == ENOENT, !mayBegin { throw mismatch(known, "the file is gone") }
            throw PrivateFile.failure(path, "open")
        }
        do throws(KeyringProblem) {
            var (file, undone) = try settled(descriptor, known: known, mayBegin: mayBegin)
            if isNew { try PrivateFile.syncDirectory(of: path) }
            if file.isRegular, file.end == 0, known.sequence > 0 {
                try write([.beginning(after: known)], to: &file)
            }
            if !undone.isEmpty {
                // Written, and then the process ended before the keyring was: none of it happened.
                try write([.notDone(undone)], to: &file)
            }
            return file
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// The file with its end where the last whole record ends, after the keyring's head was found in it; and the numbers of the
    /// changes after that head, which the keyring does not have.
    private func settled(
        _ descriptor: Int32, known: AuditHead, mayBegin: Bool
    ) throws(KeyringProblem) -> (file: File, undone: [UInt64]) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw PrivateFile.failure(path, "inspect") }
        // A device, such as a line to a printer, keeps nothing that could be looked at.
        guard status.st_mode & S_IFMT == S_IFREG else {
            guard status.st_mode & S_IFMT == S_IFCHR else { throw .notPrivate(path: path, found: "it is neither a file nor a device") }
            return (File(descriptor: descriptor, isRegular: false, end: 0, head: known), [])
        }
        try PrivateFile.checkPrivate(descriptor, path)
        let size = Int(status.st_size)
        let reader = AuditFileReader(descriptor: descriptor, path: path)
        var file = File(descriptor: descriptor, isRegular: true, end: try reader.end(ofLastLineBefore: size), head: known)
        var undone: [UInt64] = []
        if file.end == 0 {
            guard mayBegin else { throw mismatch(known, "the file is empty") }
        } else {
            (file.head, undone) = try follow(reader, to: file.end, known: known, mayBegin: mayBegin)
        }
        try cut(file, from: size)
        return (file, undone)
    }

    private func cut(_ file: File, from size: Int) throws(KeyringProblem) {
        guard file.end < size else { return }
        guard ftruncate(file.descriptor, off_t(file.end)) == 0, fsync(file.descriptor) == 0 else {
            throw PrivateFile.failure(path, "repair")
        }
    }

    private func mismatch(_ known: AuditHead, _ reason: String) -> KeyringProblem {
        .auditMismatch(path: path, sequence: known.sequence, reason: reason)
    }

    /// Where the log stands: from its first line through the record that the keyring knows, which vouches for all before it, to
    /// its end.
    private func follow(
        _ reader: AuditFileReader, to end: Int, known: AuditHead, mayBegin: Bool
    ) throws(KeyringProblem) -> (head: AuditHead, undone: [UInt64]) {
        var follower = AuditFollower(known: known, mayBegin: mayBegin)
        do throws(AuditFileReader.Failure) {
            try reader.lines(to: end) { line throws(AuditDamage) in try follower.take(line) }
        } catch {
            switch error {
            case .file(let problem): throw problem
            case .record(let damage): throw mismatch(known, damage.description)
            }
        }
        do throws(AuditDamage) { return (try follower.head, follower.undone) } catch { throw mismatch(known, error.description) }
    }
}

/// Follows the chain from a file's first line, and looks for the record that the keyring knows.
///
/// The hashes are no secret: whoever may write the file can chain records of their own. Only the known record's hash is out of
/// their reach, and each record's is part of the next one's text, so that one hash vouches for every line before it.
struct AuditFollower {
    let known: AuditHead
    /// Whether the file may begin right after the known record.
    let mayBegin: Bool
    private var chain = AuditChain()
    private var holdsKnown = false
    /// Changes of keys after the known record that nothing says were not done.
    private(set) var undone: [UInt64] = []

    init(known: AuditHead, mayBegin: Bool) {
        self.known = known
        self.mayBegin = mayBegin
    }

    mutating func take(_ line: ArraySlice<UInt8>) throws(AuditDamage) {
        if chain.head == nil { try begin(with: AuditRecord(line: line)) }
        let record = try chain.take(line)
        if record.sequence == known.sequence {
            guard record.hash == known.hash else { throw AuditDamage("it is another one") }
            holdsKnown = true
        }
        guard record.sequence > known.sequence else { return }
        if record.entry.action == AuditEntry.notDone { undone = [] }
        if record.entry.isChange { undone.append(record.sequence) }
    }

    private mutating func begin(with record: AuditRecord) throws(AuditDamage) {
        guard record.sequence == 1 || record.entry.action == AuditEntry.begin else {
            throw AuditDamage("the file begins with record \(record.sequence): what was before it is missing")
        }
        guard mayBegin, record.sequence == known.sequence.addingReportingOverflow(1).partialValue else { return }
        chain = AuditChain(after: known)
        holdsKnown = true
    }

    var head: AuditHead {
        get throws(AuditDamage) {
            guard let head = chain.head, holdsKnown else { throw AuditDamage("it is missing") }
            return head
        }
    }
}
