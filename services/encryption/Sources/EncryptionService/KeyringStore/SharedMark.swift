import Glibc

/// What a host remembers of a keyring in a database: that there is one, and the highest generation that a process of this host
/// has seen. An empty database is then not taken for a first start, nor an earlier keyring for the present one.
///
/// Processes of one host may share the file: it is changed in its place, under a lock of its own.
struct SharedMark: Sendable {
    /// As many digits as the highest number has, and the line's end: the file never changes its length.
    private static let digits = 20

    let path: String

    /// 0 when there is no file, or one without a number, as earlier releases made it.
    ///
    /// - Throws: `KeyringProblem`, naming the file.
    func read() throws(KeyringProblem) -> UInt64 {
        guard let bytes = try PrivateFile.read(path, maximumCount: 4096) else { return 0 }
        return try number(bytes)
    }

    /// Makes it durable that this generation was seen.
    func raise(to generation: UInt64) throws(KeyringProblem) {
        let isNew = !PrivateFile.exists(path)
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw PrivateFile.failure(path, "open") }
        // The lock goes with it.
        defer { close(descriptor) }
        try PrivateFile.checkPrivate(descriptor, path)
        guard flock(descriptor, LOCK_EX) == 0 else { throw PrivateFile.failure(path, "lock") }
        // Under the lock: another process may have seen a later one.
        guard try generation > read() else { return }
        let text = String(generation)
        let line = Array((String(repeating: "0", count: Self.digits - text.utf8.count) + text + "\n").utf8)
        guard line.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, $0.count, 0) }) == line.count, fsync(descriptor) == 0 else {
            throw PrivateFile.failure(path, "write")
        }
        if isNew { try PrivateFile.syncDirectory(of: path) }
    }

    private func number(_ bytes: [UInt8]) throws(KeyringProblem) -> UInt64 {
        guard !bytes.isEmpty else { return 0 }
        guard bytes.count == Self.digits + 1, let number = UInt64(String(decoding: bytes.dropLast(), as: UTF8.self)) else {
            throw .io(path: path, operation: "read", reason: "it holds no number; it was not written by this service")
        }
        return number
    }
}
