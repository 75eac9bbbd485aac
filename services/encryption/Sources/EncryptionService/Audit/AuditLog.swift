import Glibc
import Synchronization

/// The audit log's file, appended to by the keyring thread alone and synced before what it tells of happens.
///
/// Each record holds its predecessor's hash, and the sealed keyring holds the last one's: so records cannot be changed,
/// removed or cut off at the end without it being noticed, be it by someone who may write the file.
final class AuditLog: Sendable {
    /// How much of the end is read when the log is opened: what the keyring's head is looked for in.
    private static let tailCount = 1 << 20

    private struct File {
        let descriptor: Int32
        let isRegular: Bool
        /// Its length up to the last whole record.
        var end: Int
        var head: AuditHead
    }

    let path: String
    private let clock: MicrosecondClock
    private let file = Mutex<File?>(nil)

    init(path: String, clock: @escaping MicrosecondClock) {
        self.path = path
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
    /// - Throws: `KeyringProblem`: `io`, `auditMismatch` or `notPrivate`. The next call tries anew.
    func append(_ entries: [AuditEntry], known: AuditHead) throws(KeyringProblem) -> AuditHead {
        let opened = self.file.withLock { $0.take() }
        var file = if let opened { opened } else { try open(known: known) }
        do {
            try write(entries, to: &file)
        } catch {
            Glibc.close(file.descriptor)
            throw error
        }
        self.file.withLock { $0 = file }
        return file.head
    }

    private func write(_ entries: [AuditEntry], to file: inout File) throws(KeyringProblem) {
        var (head, bytes): (AuditHead, [UInt8]) = (file.head, [])
        let now = clock()
        for entry in entries {
            guard let next = try? AuditRecord.next(entry, after: head, time: now) else { throw .crypto("no audit record") }
            bytes += next.line
            head = next.record.head
        }
        do throws(KeyringProblem) {
            try Self.write(bytes, to: file.descriptor, path)
            // A device has no sync.
            guard fsync(file.descriptor) == 0 || !file.isRegular else { throw PrivateFile.failure(path, "sync") }
        } catch {
            // What is not whole goes, so that the next record begins a line. Should that fail, opening does it.
            if file.isRegular { _ = ftruncate(file.descriptor, off_t(file.end)) }
            throw error
        }
        file.end += bytes.count
        file.head = head
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(KeyringProblem) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw PrivateFile.failure(path, "write") }
            written += count
        }
    }

    // MARK: Opening

    private func open(known: AuditHead) throws(KeyringProblem) -> File {
        let isNew = !PrivateFile.exists(path)
        let descriptor = Glibc.open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw PrivateFile.failure(path, "open") }
        do throws(KeyringProblem) {
            var file = try settled(descriptor, known: known)
            if isNew { try PrivateFile.syncDirectory(of: path) }
            if file.head.sequence > known.sequence {
                // Written, and then the process ended before the keyring was: none of it happened.
                let entry = AuditEntry(
                    action: "NOT_DONE", actor: "keyring",
                    detail: "records \(known.sequence + 1) to \(file.head.sequence) did not take effect")
                try write([entry], to: &file)
            }
            return file
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// The file with its end where the last whole record ends, after the keyring's head was found in it.
    private func settled(_ descriptor: Int32, known: AuditHead) throws(KeyringProblem) -> File {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw PrivateFile.failure(path, "inspect") }
        // A device, such as a line to a printer, keeps nothing that could be looked at.
        guard status.st_mode & S_IFMT == S_IFREG else {
            guard status.st_mode & S_IFMT == S_IFCHR else { throw .notPrivate(path: path, found: "it is neither a file nor a device") }
            return File(descriptor: descriptor, isRegular: false, end: 0, head: known)
        }
        try PrivateFile.checkPrivate(descriptor, path)
        let size = Int(status.st_size)
        let tail = try tail(descriptor, size: size)
        let end = tail.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        var file = File(descriptor: descriptor, isRegular: true, end: size - (tail.count - end), head: known)
        guard file.end > 0 else {
            // Nothing whole: a new file goes on where the keyring says.
            try cut(file, from: size)
            return file
        }
        // The first line of a tail may be the end of one.
        let lines = tail[..<end].split(separator: UInt8(ascii: "\n")).dropFirst(size > tail.count ? 1 : 0)
        file.head = try head(of: Array(lines), known: known)
        try cut(file, from: size)
        return file
    }

    private func cut(_ file: File, from size: Int) throws(KeyringProblem) {
        guard file.end < size else { return }
        guard ftruncate(file.descriptor, off_t(file.end)) == 0, fsync(file.descriptor) == 0 else {
            throw PrivateFile.failure(path, "repair")
        }
    }

    /// Where the log stands: from the record that the keyring knows, or from one that follows it, to its end.
    private func head(of lines: [ArraySlice<UInt8>], known: AuditHead) throws(KeyringProblem) -> AuditHead {
        func mismatch(_ reason: String) -> KeyringProblem { .auditMismatch(path: path, sequence: known.sequence, reason: reason) }
        var chain: AuditChain?
        for (index, line) in lines.enumerated() {
            do throws(AuditDamage) {
                let record = try AuditRecord(line: line)
                if chain != nil {
                    try chain?.take(line)
                } else if record.sequence == known.sequence {
                    guard record.hash == known.hash else { throw AuditDamage("it is another one") }
                    chain = AuditChain(after: known)
                } else if index == 0, record.sequence == known.sequence + 1 {
                    chain = AuditChain(after: known)
                    try chain?.take(line)
                }
            } catch {
                throw mismatch("\(error)")
            }
        }
        guard let head = chain?.head else { throw mismatch("it is missing") }
        return head
    }

    private func tail(_ descriptor: Int32, size: Int) throws(KeyringProblem) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(size, Self.tailCount))
        var read = 0
        while read < bytes.count {
            let (start, rest) = (size - bytes.count + read, bytes.count - read)
            let count = bytes[read...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, rest, off_t(start)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw PrivateFile.failure(path, "read") }
            read += count
        }
        return bytes
    }
}
