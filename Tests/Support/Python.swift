import Foundation

/// What lies beside this file.
package enum SupportFiles {
    package static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: name).path
    }
}

/// The Python that has what tests compare with: `make test` installs it and names it in `LOCKSTEP_TEST_PYTHON`.
package enum Python {
    /// The interpreter's path.
    package static let interpreter: String =
        ProcessInfo.processInfo.environment["LOCKSTEP_TEST_PYTHON"]
        ?? SupportFiles.path("../../.build-python/bin/python3")

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs Python to its end.
    ///
    /// - Parameters:
    ///   - arguments: What follows the interpreter's name.
    ///   - input: What it reads from standard input. It may be long: it comes from a file.
    /// - Returns: What it wrote to standard output.
    /// - Throws: `Failure` with what it wrote to standard error when it ends with another status than 0.
    package static func run(_ arguments: [String], input: String = "") throws -> String {
        let directory = try TemporaryDirectory()
        let (inputPath, errorPath) = (directory.path("input"), directory.path("error"))
        try Data(input.utf8).write(to: URL(fileURLWithPath: inputPath))
        try Data().write(to: URL(fileURLWithPath: errorPath))
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: interpreter)
        process.arguments = arguments
        process.standardInput = FileHandle(forReadingAtPath: inputPath)
        process.standardOutput = output
        process.standardError = FileHandle(forWritingAtPath: errorPath)
        // Its packages bring a library of their own, which this process's configuration is not for.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("OPENSSL_") }
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let said = (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? ""
            throw Failure(description: "\(interpreter) \(arguments.first ?? "") ended with \(process.terminationStatus): \(said)")
        }
        return text
    }
}
