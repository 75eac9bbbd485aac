import Glibc
import LibCrypto

/// A file of mode 0600.
struct MasterKeyInFile: MasterKeySource {
    /// The longest file that is read, in bytes.
    static let maximumCount = 1024

    let path: String
    /// Seals new keys, and opens those that it sealed.
    var token: PKCS11Token?

    var place: String { path }

    func read() throws(KeyringProblem) -> MasterKeySet? { try file()?.keys(token) }

    /// - Throws: `io` when there is a file: none is ever replaced.
    func create() throws(KeyringProblem) -> MasterKeySet {
        try token?.makeKey()
        let file = try MasterKeyFile(token: token)
        var text = file.text
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        try PrivateFile.create(path, text)
        return try file.keys(token)
    }

    /// The text itself: for whoever replaces it.
    func file() throws(KeyringProblem) -> MasterKeyFile? {
        guard var text = try PrivateFile.read(path, maximumCount: Self.maximumCount) else { return nil }
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        guard let file = MasterKeyFile(text) else { throw .masterKeyMalformed(path: path) }
        return file
    }

    func replace(_ file: MasterKeyFile) throws(KeyringProblem) {
        var text = file.text
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        try PrivateFile.replace(path, text)
    }

    var stamp: String? { Self.stamp(of: path) + (token?.pinFile.map { " " + Self.stamp(of: $0) } ?? "") }

    private static func stamp(of path: String) -> String {
        var status = stat()
        guard lstat(path, &status) == 0 else { return "none" }
        return "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
    }
}

/// A file descriptor that the process was started with: read to its end once, and closed.
struct MasterKeyInDescriptor: MasterKeySource {
    let descriptor: Int32
    var token: PKCS11Token?

    var place: String { "file descriptor \(descriptor)" }
    /// It is gone once it was read.
    var stamp: String? { nil }

    func read() throws(KeyringProblem) -> MasterKeySet? {
        var text = try PrivateFile.read(descriptor: descriptor, maximumCount: MasterKeyInFile.maximumCount)
        defer { text.withUnsafeMutableBytes { wipe($0) } }
        guard !text.isEmpty else { return nil }
        guard let file = MasterKeyFile(text) else { throw .masterKeyMalformed(path: place) }
        return try file.keys(token)
    }

    func create() throws(KeyringProblem) -> MasterKeySet { throw .masterKeyMissing(path: place) }
}

extension PrivateFile {
    /// All that a file descriptor holds which the process was started with; it is closed then.
    static func read(descriptor: Int32, maximumCount: Int) throws(KeyringProblem) -> [UInt8] {
        let place = "file descriptor \(descriptor)"
        // What the process opens itself is closed by exec and so cannot have come through one: it is left alone.
        let flags = fcntl(descriptor, F_GETFD)
        guard flags >= 0, flags & FD_CLOEXEC == 0 else {
            throw .io(path: place, operation: "read", reason: "the process was not started with it")
        }
        defer { close(descriptor) }
        var text: [UInt8] = []
        // Room for all of it at once, so that nothing is left behind by a move.
        text.reserveCapacity(maximumCount + 1)
        var byte: UInt8 = 0
        while text.count <= maximumCount {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(place, "read") }
            guard count > 0 else { return text }
            text.append(byte)
        }
        throw .io(path: place, operation: "read", reason: "it holds too much")
    }
}
