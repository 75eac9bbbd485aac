import Foundation
import TestSupport
import Testing

/// The peer in Python has tests of its own: all vectors of the wire, and its client against its server.
@Suite struct PythonPeerTests {
    private static let peer = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Contract/peers/python")

    @Test func itsTestsPass() throws {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [Python.interpreter, "-B", "-m", "unittest", "discover", "-s", "tests"]
        process.currentDirectoryURL = Self.peer
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        let ran = text.firstMatch(of: /Ran (\d+) tests/).flatMap { Int($0.1) }
        #expect((ran ?? 0) >= 33, "\(text)")
    }
}
