import Glibc

/// Reads the files that identify a process.
enum KeyFile {
    /// Longest certificate, key or authority file, bytes.
    static let maximumSize = 1024 * 1024
    /// What group and others may do with a private key: nothing.
    private static let foreignAccess: mode_t = 0o077

    /// The file's bytes.
    ///
    /// - Parameter isPrivate: Whether a file that others may read is refused.
    /// - Throws: `TLSConfigurationError` that says why not.
    static func read(_ path: String, isPrivate: Bool = false) throws(TLSConfigurationError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, "cannot be opened") }
        defer { _ = close(descriptor) }
        let size = try check(descriptor, path, isPrivate: isPrivate)
        return try contents(of: descriptor, path, size: size)
    }

    private static func check(
        _ descriptor: Int32, _ path: String, isPrivate: Bool
    ) throws(TLSConfigurationError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TLSConfigurationError(file: path, problem: "is not a file.")
        }
        if isPrivate, status.st_mode & foreignAccess != 0 {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw TLSConfigurationError(
                file: path, problem: "is a private key that others may use (mode \(mode)); run chmod 600 on it.")
        }
        guard (1...maximumSize).contains(Int(status.st_size)) else {
            throw TLSConfigurationError(file: path, problem: "has \(status.st_size) bytes, not 1 to \(maximumSize).")
        }
        return Int(status.st_size)
    }

    private static func contents(
        of descriptor: Int32, _ path: String, size: Int
    ) throws(TLSConfigurationError) -> [UInt8] {
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while filled < size {
                let got = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), size - filled)
                guard got > 0 else { break }
                filled += got
            }
            count = filled
        }
        guard filled == size else { throw failure(path, "cannot be read") }
        return bytes
    }

    private static func failure(_ path: String, _ what: String) -> TLSConfigurationError {
        TLSConfigurationError(file: path, problem: "\(what): \(String(cString: strerror(errno))).")
    }
}
