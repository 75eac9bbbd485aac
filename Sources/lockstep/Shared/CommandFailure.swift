import ArgumentParser
import Foundation

/// A failure that a person reads: what is wrong and what to do next.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    let status: Int32

    init(_ description: String, status: Int32 = 1) {
        self.description = description
        self.status = status
    }

    /// Runs a command's body; its failure goes to standard error, without the parser's usage text.
    static func reported(_ body: () async throws -> Void) async throws {
        do {
            try await body()
            try StandardOutput.finish()
        } catch let failure as CommandFailure {
            StandardError.print("lockstep: \(failure)")
            throw ExitCode(failure.status)
        }
    }
}

/// Lines on standard error.
enum StandardError {
    static func print(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8)) }
}

/// Lines on standard output, each written at once: whoever reads a stream sees it as it comes.
enum StandardOutput {
    static func line(_ bytes: [UInt8]) {
        print(String(decoding: bytes, as: UTF8.self))
        fflush(nil)
    }

    /// Writes what still waits. Whoever stops reading a pipe wants no more, which is no failure.
    ///
    /// - Throws: `CommandFailure` 73 when there is no room for what was printed, now or earlier: it still waits then.
    static func finish() throws {
        guard fflush(nil) != 0, errno != EPIPE else { return }
        let reason = String(cString: strerror(errno))
        throw CommandFailure("What was asked for is done, and its output cannot be written: \(reason).", status: 73)
    }
}
