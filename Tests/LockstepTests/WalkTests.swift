import Foundation
import TestSupport
import Testing

@testable import lockstep

/// What `make run` and `make demo` say before they begin.
@Suite struct WalkTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func run(_ command: String...) throws -> (status: Int32, text: String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // `make test` may be what runs this, with flags for its children.
        process.arguments = ["-u", "MAKEFLAGS", "-u", "MAKELEVEL"] + command
        process.currentDirectoryURL = Self.root
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    @Test func besideARunningSystemNothingIsBuilt() throws {
        let directory = try TemporaryDirectory()
        let lock = try StateLock(directory: directory.url.path)
        // Where it would build, `false` does instead.
        let second = try run("make", "run", "STATE=\(directory.url.path)", "OPTIMIZED=false")
        #expect(second.status != 0 && second.text.contains("running already with this state"), "\(second.text)")
        #expect(!second.text.contains("Building"), "\(second.text)")
        withExtendedLifetime(lock) {}
    }

    @Test func aStateThatNobodyHoldsIsFree() throws {
        let directory = try TemporaryDirectory()
        let state = "STATE=\(directory.url.path)"
        #expect(try run(state, "Tests/Walk/run.sh", "--check") == (0, ""))
        // Locks of a system that has ended.
        for name in ["run.lock", "up.lock"] { try Data().write(to: URL(fileURLWithPath: directory.path(name))) }
        #expect(try run(state, "Tests/Walk/run.sh", "--check") == (0, ""))
    }

    @Test func aWalkWithoutASystemEndsAtOnce() async throws {
        let directory = try TemporaryDirectory()
        // Nobody serves tcpmux.
        let walk = ["Tests/Walk/walk.py", "--url", "https://127.0.0.1:1", "--state", directory.url.path]
        let fresh = try run(Python.interpreter, walk[0], walk[1], walk[2], walk[3], walk[4])
        #expect(fresh.status == 1 && fresh.text.contains("ca.pem: start the system with `make run`"), "\(fresh.text)")
        try await #require(try Certs.parseAsRoot(["--state", directory.url.path]) as? Certs).run()
        let stopped = try run(Python.interpreter, walk[0], walk[1], walk[2], walk[3], walk[4])
        #expect(stopped.status == 1 && stopped.text.contains("Nothing listens at https://127.0.0.1:1. Start it"), "\(stopped.text)")
    }
}
