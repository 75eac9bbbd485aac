import Foundation
import Synchronization

/// A program run to its end, with all that it printed.
struct Finished: Sendable {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs a program and waits for its end without holding a thread of the cooperative pool.
func run(_ program: URL, _ arguments: [String], environment: [String: String] = [:], input: String = "")
    async throws -> Finished
{
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = standardInput
    async let out = output.fileHandleForReading.everything()
    async let err = errors.fileHandleForReading.everything()
    let status: Int32 = try await withCheckedThrowingContinuation { continuation in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do {
            try process.run()
            try? standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try? standardInput.fileHandleForWriting.close()
        } catch {
            try? output.fileHandleForWriting.close()
            try? errors.fileHandleForWriting.close()
            continuation.resume(throwing: error)
        }
    }
    return Finished(status: status, output: await out, errors: await err)
}

extension FileHandle {
    /// All text until the end, read on a thread of its own.
    fileprivate func everything() async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = (try? self.readToEnd()) ?? Data()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
        }
    }
}

/// Asks until the answer is not nil; between questions it yields to whatever it waits for.
///
/// For states that only another process knows of and that it cannot announce, such as a port that answers again.
func eventually<Answer: Sendable>(
    within limit: Duration, _ question: @Sendable () async throws -> Answer?
) async throws -> Answer? {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if let answer = try await question() { return answer }
        // Another process's state has no event to wait for; this is how often it is asked.
        try await Task.sleep(for: .milliseconds(20))
    }
    return nil
}
