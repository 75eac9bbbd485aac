private import Dispatch
private import Foundation
private import Glibc

/// Writes each message to `<directory>/<id>.eml`, whole and durable or not at all. A message delivered twice is the
/// same file.
///
/// Files are written one after another on a thread of its own; the worker's parallelism bounds how many wait.
package final class FileSink: MailSink {
    package let name = "file"
    private let directory: String
    private let queue = DispatchQueue(label: "lockstep.email.file-sink")

    package init(directory: String) { self.directory = directory }

    package func deliver(id: String, message: [UInt8]) async throws(SinkError) {
        guard Self.isFileName(id) else { throw .refused("the id is no file name") }
        let directory = directory
        let result: Result<Void, SinkError> = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Self.write(message, as: "\(id).eml", in: directory))
            }
        }
        try result.get()
    }

    /// - Parameter message: Holds live links, so only the owner may read the file.
    private static func write(_ message: [UInt8], as file: String, in directory: String) -> Result<Void, SinkError> {
        let partial = "\(directory)/.\(file).partial"
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try writeDurably(message, to: partial)
            guard rename(partial, "\(directory)/\(file)") == 0 else { throw Errno.last("rename") }
            try sync(directory)
            return .success(())
        } catch {
            unlink(partial)
            return .failure(.unavailable("\(error)"))
        }
    }

    private static func writeDurably(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Errno.last("open") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { throw Errno.last("write") }
            written += max(0, count)
        }
        guard fsync(descriptor) == 0 else { throw Errno.last("fsync") }
    }

    /// A renamed file is durable once its directory is.
    private static func sync(_ directory: String) throws {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Errno.last("open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Errno.last("fsync") }
    }

    private static func isFileName(_ id: String) -> Bool {
        !id.isEmpty && id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}

/// A failed system call: its name and the system's word for the error, no path.
private struct Errno: Error, CustomStringConvertible {
    let description: String

    static func last(_ call: String) -> Errno {
        Errno(description: "\(call): \(String(cString: strerror(errno)))")
    }
}
