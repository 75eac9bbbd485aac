import Foundation

/// Another program of the system, run to its end.
enum Tool {
    /// - Parameter explanation: What to say instead of the program's own words when it fails.
    /// - Returns: What it printed, without the last line's end.
    /// - Throws: `CommandFailure` with what the program said, when it is missing or fails.
    @discardableResult
    static func run(_ name: String, _ arguments: [String], explanation: (() -> String)? = nil) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        // One pipe for both: two would each have to be read while the other fills.
        process.standardError = output
        do {
            try process.run()
        } catch {
            throw CommandFailure("\(name) cannot be run: \(error.localizedDescription)", status: 69)
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        process.waitUntilExit()
        switch process.terminationStatus {
        case 0: return text
        case 127: throw CommandFailure("\(name) is not installed.", status: 69)
        default: throw CommandFailure(explanation?() ?? "\(name) failed.\n\(text)", status: 65)
        }
    }
}
