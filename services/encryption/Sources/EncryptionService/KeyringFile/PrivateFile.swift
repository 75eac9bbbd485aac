import Glibc
import LibCrypto
import Synchronization

/// Files that only this process's user may use, written so that a crash leaves the old one or the new one, whole.
enum PrivateFile {
    /// The whole file; nil when there is none.
    ///
    /// - Throws: `notPrivate` unless it is a regular file of this user with mode 0600 or 0400; `io`.
    static func read(_ path: String, maximumCount: Int) throws(KeyringProblem) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            if errno == ELOOP { throw .notPrivate(path: path, found: "it is a symbolic link") }
            throw failure(path, "open")
        }
        defer { close(descriptor) }
        try checkPrivate(descriptor, path)
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size >= 0, lseek(descriptor, 0, SEEK_SET) == 0 else { throw failure(path, "inspect") }
        guard size <= maximumCount else { throw .corrupt(path: path, reason: "it is too long") }
        return try read(descriptor, path, count: size)
    }

    /// Straight into one array, so that no copy of a secret is left behind: callers wipe what they are given.
    private static func read(_ descriptor: Int32, _ path: String, count size: Int) throws(KeyringProblem) -> [UInt8] {
        var (bytes, end) = ([UInt8](repeating: 0, count: size), 0)
        while end < size {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + end }, size - end) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                bytes.withUnsafeMutableBytes { wipe($0) }
                throw count < 0 ? failure(path, "read") : .corrupt(path: path, reason: "it became shorter while it was read")
            }
            end += count
        }
        return bytes
    }

    /// Makes a file that must not exist yet, with mode 0600, durable when this returns. It is there whole or not at all, for others
    /// that look meanwhile and after a crash.
    static func create(_ path: String, _ bytes: [UInt8]) throws(KeyringProblem) {
        // Others may make it at the same time: each writes to a name of its own.
        let new = path + ".\(getpid())-\(UInt32.random(in: 0 ... .max)).new"
        do throws(KeyringProblem) {
            try write(new, bytes, flags: O_CREAT | O_EXCL)
            guard link(new, path) == 0 else { throw failure(path, "create") }
        } catch {
            unlink(new)
            throw error
        }
        // Before the directory is synced: a crash is not to leave a second copy, which nobody would look for.
        unlink(new)
        try syncDirectory(of: path)
    }

    /// Puts a new file in the place of the old one: written beside it, synced, renamed over it, the directory synced.
    ///
    /// Callers must be alone: see `ProcessLock`.
    static func replace(_ path: String, _ bytes: [UInt8]) throws(KeyringProblem) {
        let new = path + ".new"
        if unlink(new) != 0, errno != ENOENT { throw failure(new, "remove") }
        try write(new, bytes, flags: O_CREAT | O_EXCL)
        guard rename(new, path) == 0 else { throw failure(path, "replace") }
        try syncDirectory(of: path)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Parameter code: The system's number of what went wrong.
    static func failure(_ path: String, _ operation: String, code: Int32 = errno) -> KeyringProblem {
        .io(path: path, operation: operation, reason: String(cString: strerror(code)))
    }

    static func checkPrivate(_ descriptor: Int32, _ path: String) throws(KeyringProblem) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "inspect") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .notPrivate(path: path, found: "it is not a regular file")
        }
        guard status.st_uid == geteuid() else {
            throw .notPrivate(path: path, found: "it belongs to user \(status.st_uid)")
        }
        guard status.st_mode & 0o177 == 0 else {
            throw .notPrivate(path: path, found: "its mode is 0\(String(status.st_mode & 0o7777, radix: 8))")
        }
    }

    private static func write(_ path: String, _ bytes: [UInt8], flags: Int32) throws(KeyringProblem) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0o600)
        guard descriptor >= 0 else { throw failure(path, "create") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "write") }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw failure(path, "sync") }
    }

    static func syncDirectory(of path: String) throws(KeyringProblem) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { throw failure(directory, "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(directory, "sync") }
    }
}

/// One process for each keyring, until it lets go or ends: then the kernel lets go for it.
final class ProcessLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// - Throws: `inUse` when another process has it.
    init(_ path: String) throws(KeyringProblem) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw PrivateFile.failure(path, "open") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let problem = errno == EWOULDBLOCK ? KeyringProblem.inUse(path: path) : PrivateFile.failure(path, "lock")
            close(descriptor)
            throw problem
        }
        self.descriptor = Mutex(descriptor)
    }

    deinit { release() }

    /// Lets another process have it.
    func release() {
        if let descriptor = descriptor.withLock({ $0.take() }) { close(descriptor) }
    }
}
