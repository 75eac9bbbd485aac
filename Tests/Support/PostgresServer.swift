import Foundation
import Synchronization

/// A real PostgreSQL server, started for the tests and gone with their process.
package final class PostgresServer: Sendable {
    /// The folder with the socket and the server's certificate.
    package let folder: String
    package let port: Int
    private let process: ServerProcess
    private static let schemas = Atomic(0)
    private static let running = Task { try await PostgresServer() }

    /// The one that tests share. It is started by the first that asks.
    package static var shared: PostgresServer {
        get async throws { try await running.value }
    }

    /// A server of the test's own, which it may stop.
    package init() async throws {
        port = try Self.freePort()
        process = try ServerProcess(port: port)
        let answer = try await process.line()
        guard answer.hasPrefix("ready ") else { throw ServerProcess.Failure(answer: answer) }
        folder = String(answer.dropFirst("ready ".count))
    }

    /// As an operator stops it.
    package func stop() async throws { try await process.tell("stop") }
    /// SIGKILL to each of its processes.
    package func kill() async throws { try await process.tell("kill") }
    /// At once, and nothing is tidied up (SIGQUIT).
    package func crash() async throws { try await process.tell("crash") }
    package func start() async throws { try await process.tell("start") }
    /// Alive, and answers nothing: as a machine that swaps, or a network that swallows.
    package func freeze() async throws { try await process.tell("freeze") }
    package func thaw() async throws { try await process.tell("thaw") }

    /// The URL of a schema that nobody else uses.
    package func freshURL() -> String {
        url(schema: "test_\(Self.schemas.add(1, ordering: .relaxed).newValue)")
    }

    /// Over the socket, without a password.
    package func url(schema: String) -> String {
        "postgres://postgres@/postgres?host=\(folder)&port=\(port)&schema=\(schema)"
    }

    /// Over the socket, for several services: each makes a schema of its own.
    package var sharedURL: String { "postgres://postgres@/postgres?host=\(folder)&port=\(port)" }

    /// Over TCP, with a password; TLS as `options` say.
    package func networkURL(password: String = "test-password", options: String = "") -> String {
        "postgres://postgres:\(password)@127.0.0.1:\(port)/postgres?\(options)"
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw CocoaError(.fileReadUnknown) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// The script that owns the server. It ends when this process does, since its standard input ends then.
private final class ServerProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let answer: String
        var description: String { "the PostgreSQL server of the tests said '\(answer)'; is `postgresql` installed?" }
    }

    private let commands: FileHandle
    private let answers: FileHandle
    private let queue = DispatchQueue(label: "postgres-server")

    init(port: Int) throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "postgres/server.sh")
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        // What this process starts later must not keep the server alive.
        _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [script.path, "\(port)"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        commands = input.fileHandleForWriting
        answers = output.fileHandleForReading
    }

    func tell(_ command: String) async throws {
        try commands.write(contentsOf: Data("\(command)\n".utf8))
        let answer = try await line()
        guard answer == "done" else { throw Failure(answer: answer) }
    }

    /// The next line; reading blocks, so it has a thread of its own.
    func line() async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [answers] in
                continuation.resume(
                    with: Result {
                        var line = Data()
                        while let byte = try answers.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") {
                            line.append(byte)
                        }
                        return String(decoding: line, as: UTF8.self)
                    })
            }
        }
    }
}
