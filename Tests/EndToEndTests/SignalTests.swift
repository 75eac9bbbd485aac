import Foundation
import ServiceKit
import TestSupport
import Testing

/// A service's process is told to stop as an init system tells it, with nobody around it to kill it.
@Suite struct SignalTests {
    /// Python starts the program with all signals let through: children of a test process inherit those that it blocks, and
    /// SIGTERM is one of them. The process stays the test's own child.
    private static let unblocking = """
        import os, signal, sys
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(sys.argv[1], sys.argv[1:])
        """
    private static let grace = Duration.seconds(2)

    private let directory: TemporaryDirectory
    private let state: URL
    private let ports: [Int]

    init() throws {
        directory = try TemporaryDirectory()
        state = URL(filePath: directory.path("state"))
        try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
        ports = try freePorts(2)
    }

    private var target: [String] { ["--target", "email@127.0.0.1:\(ports[0])", "--state", state.path] }

    private func start(_ program: String, _ arguments: [String], log: String) throws -> Process {
        let process = Process()
        process.executableURL = Places.python
        process.arguments = ["-c", Self.unblocking, Places.binaries.appending(path: program).path] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging([
            "LOCKSTEP_STATE": state.path, "LOCKSTEP_EMAIL_LISTEN": "127.0.0.1:\(ports[0])",
            "LOCKSTEP_EMAIL_METRICS": "127.0.0.1:\(ports[1])", "LOCKSTEP_EMAIL_DRAIN_GRACE": "2s",
        ]) { $1 }
        try Data().write(to: URL(filePath: directory.path(log)))
        let sink = try FileHandle(forWritingTo: URL(filePath: directory.path(log)))
        process.standardOutput = sink
        process.standardError = sink
        try process.run()
        return process
    }

    private func text(_ log: String) -> String {
        (try? String(contentsOfFile: directory.path(log), encoding: .utf8)) ?? ""
    }

    @Test("SIGTERM ends a process in bounded time, with status 0, though a stream's caller has stopped to listen")
    func stream() async throws {
        let lockstep = Places.binaries.appending(path: "lockstep")
        let made = try await run(lockstep, ["certs", "--state", state.path])
        try #require(made.status == 0, "\(made.errors)")
        let service = try start("email", [], log: "email.log")
        defer { kill(service.processIdentifier, SIGKILL) }
        let serves: Bool? = try await eventually(within: .seconds(60)) {
            try await run(lockstep, ["list"] + target).status == 0 ? true : nil
        }
        try #require(serves == true, "\(text("email.log"))")
        let watch = try start("lockstep", ["call", "HealthWatchService/Watch"] + target, log: "watch.log")
        defer { kill(watch.processIdentifier, SIGKILL) }
        let isOpen: Bool? = try await eventually(within: .seconds(30)) { text("watch.log").contains("email") ? true : nil }
        try #require(isOpen == true && watch.isRunning, "\(text("watch.log"))")

        // It neither reads its stream's end nor answers DRAIN from now on.
        kill(watch.processIdentifier, SIGSTOP)
        let start = ContinuousClock.now
        kill(service.processIdentifier, SIGTERM)
        let limit = ProcessLimits.stop(drainGrace: Self.grace)
        let ended: Bool? = try await eventually(within: limit) { service.isRunning ? nil : true }
        try #require(ended == true, "it still runs \(limit) after SIGTERM:\n\(text("email.log").suffix(4000))")
        #expect(service.terminationReason == .exit && service.terminationStatus == 0, "\(text("email.log").suffix(4000))")
        #expect(ContinuousClock.now - start >= Self.grace, "nothing held it up: the stream was not open")
    }
}
