import Foundation
import Glibc

/// Why a file could not be written or read.
package struct StateFileError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

/// Files of the state directory: written whole or not at all, keys for the owner's eyes only.
struct StateFiles {
    static let privateMode: mode_t = 0o600
    static let publicMode: mode_t = 0o644
    private static let directoryMode: mode_t = 0o700

    let directory: String

    /// Makes the directory and the one for certificates.
    func prepare() throws(StateFileError) {
        for path in [directory, self.path("certs")] {
            do {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true,
                    attributes: [.posixPermissions: Int(Self.directoryMode)])
            } catch {
                throw StateFileError(description: "\(path) cannot be made: \(error.localizedDescription)")
            }
        }
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    /// The file's text; nil when it cannot be read.
    func text(_ name: String) -> String? {
        FileManager.default.contents(atPath: path(name)).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// Whether the file is the owner's alone.
    func isPrivate(_ name: String) -> Bool {
        var status = stat()
        return stat(path(name), &status) == 0 && status.st_mode & 0o077 == 0
    }

    /// Replaces the file by `text` in one step.
    func write(_ text: String, to name: String, mode: mode_t) throws(StateFileError) {
        let temporary = path(name) + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw Self.failure(temporary) }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, path(name)) == 0 else {
            let error = Self.failure(path(name))
            unlink(temporary)
            throw error
        }
    }

    /// Removes a file, if it is there.
    func remove(_ name: String) throws(StateFileError) {
        guard unlink(path(name)) == 0 || errno == ENOENT else {
            throw StateFileError(
                description: "\(path(name)) cannot be removed: \(String(cString: strerror(errno)))")
        }
    }

    private static func failure(_ path: String) -> StateFileError {
        StateFileError(description: "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
}
