import Glibc

/// Passwords that the operator refuses: the lines of a file, read at the start.
///
/// Kept as 64 bits of a hash for each, seeded anew for each process, so that a list of millions takes little memory. That a
/// password which is not on the list is taken for one that is happens once in 2^64 / lines.
struct Blocklist: Sendable {
    /// The longest file, in bytes: some six million lines.
    static let maximumCount = 64 << 20

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    private let hashes: [Int]

    /// - Throws: `StartProblem.blocklist`, naming the file.
    init(path: String) throws(StartProblem) {
        var bytes = try Self.read(path)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .blocklist(path: path, reason: "it is not UTF-8") }
        if bytes.starts(with: Self.byteOrderMark) { bytes.removeFirst(Self.byteOrderMark.count) }
        var hashes = PasswordList.lines(of: bytes).map { Self.hash(PasswordList.folded(String(decoding: $0, as: UTF8.self))) }
        // What is left of a download that failed.
        guard !hashes.isEmpty else { throw .blocklist(path: path, reason: "there is no password in it") }
        hashes.sort()
        self.hashes = hashes
    }

    var count: Int { hashes.count }

    /// - Parameter folded: As `PasswordList.folded` makes it.
    func contains(_ folded: String) -> Bool {
        let wanted = Self.hash(folded)
        var (low, high) = (0, hashes.count)
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return low < hashes.count && hashes[low] == wanted
    }

    private static func hash(_ text: String) -> Int {
        var hasher = Hasher()
        hasher.combine(text)
        return hasher.finalize()
    }

    private static func read(_ path: String) throws(StartProblem) -> [UInt8] {
        func problem() -> StartProblem { .blocklist(path: path, reason: String(cString: strerror(errno))) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw problem() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw problem() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .blocklist(path: path, reason: "it is not a regular file") }
        var (bytes, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 20))
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw problem() }
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= maximumCount else {
                throw .blocklist(path: path, reason: "it has more than \(maximumCount) bytes")
            }
        }
    }
}
