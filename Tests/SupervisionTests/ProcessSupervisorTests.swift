import Foundation
@testable import Supervision
import Synchronization
import Testing
import TestSupport

@Suite(.timeLimit(.minutes(1))) struct ProcessSupervisorTests {
    /// What happened, in order, with a way to wait for more.
    final class Journal: Sendable {
        private let stream: AsyncStream<String>
        private let continuation: AsyncStream<String>.Continuation
        private let all = Mutex<[String]>([])

        init() { (stream, continuation) = AsyncStream.makeStream() }

        func add(_ text: String) {
            all.withLock { $0.append(text) }
            continuation.yield(text)
        }

        var lines: [String] { all.withLock { $0 } }

        func wait(for text: String) async { for await line in stream where line == text { return } }
    }

    let journal = Journal()

    func supervisor(_ scripts: [(String, String)], runDirectory: String? = nil) -> ProcessSupervisor {
        let children = scripts.map { name, script in
            ChildSpecification(
                name: name, program: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"])
        }
        return ProcessSupervisor(
            children, backoff: RestartBackoff(first: .milliseconds(1), longest: .milliseconds(5)),
            stopGrace: .seconds(20), runDirectory: runDirectory,
            output: { [journal] in journal.add("\($0): \(String(decoding: $1, as: UTF8.self))") },
            report: { [journal] in journal.add("\($0)") })
    }

    /// Says that it is up, then waits for SIGTERM.
    static let patient = "trap 'echo bye; exit 0' TERM; echo up; sleep 600 & wait"

    @Test func processesRunAndAreStoppedBackwards() async throws {
        let directory = try TemporaryDirectory()
        let supervisor = supervisor([("a", Self.patient), ("b", Self.patient)], runDirectory: directory.path("run"))
        async let status = supervisor.run()
        await journal.wait(for: "a: up")
        if !journal.lines.contains("b: up") { await journal.wait(for: "b: up") }
        let pid = try #require(Int32(try String(contentsOfFile: directory.path("run/a.pid"), encoding: .utf8).dropLast()))
        #expect(kill(pid, 0) == 0)
        supervisor.stop()
        #expect(await status == 0)
        let stops = journal.lines.filter { $0.hasPrefix("stopped") }
        #expect(stops.map { $0.contains("\"b\"") } == [true, false])
        #expect(kill(pid, 0) != 0)
        #expect(!FileManager.default.fileExists(atPath: directory.path("run/a.pid")))
    }

    @Test func aCrashIsReportedAndTheProcessStartedAgain() async throws {
        let supervisor = supervisor([("a", "echo up; kill -9 $$")])
        async let status = supervisor.run()
        for _ in 0..<3 { await journal.wait(for: "a: up") }
        supervisor.stop()
        _ = await status
        #expect(journal.lines.contains { $0.hasPrefix("restarting") && $0.contains("signal 9") })
    }

    @Test func aProcessThatCannotStartAsThingsAreEndsTheRest() async throws {
        let supervisor = supervisor([("a", Self.patient), ("b", "echo broken >&2; exit 78")])
        #expect(await supervisor.run() == 78)
        #expect(journal.lines.contains("b: broken"))
    }

    @Test func aDeafProcessAndItsChildrenAreKilledByASecondStop() async throws {
        let supervisor = supervisor([("a", "trap '' TERM; (sleep 600) & echo $! ; echo up; while :; do sleep 600; done")])
        async let status = supervisor.run()
        await journal.wait(for: "a: up")
        supervisor.stop()
        supervisor.stop()
        #expect(await status == 1)
        let grandchild = try #require(journal.lines.first.flatMap { Int32($0.dropFirst(3)) })
        #expect(await isGone(grandchild))
    }

    @Test func aProgramThatIsNotThereIsReported() async throws {
        let child = ChildSpecification(name: "a", program: "/nonexistent/program", environment: [:])
        let supervisor = ProcessSupervisor(
            [child], stopGrace: .seconds(20), output: { [journal] in journal.add(String(decoding: $1, as: UTF8.self)) },
            report: { [journal] in journal.add("\($0)") })
        async let status = supervisor.run()
        await journal.wait(for: "/nonexistent/program: No such file or directory")
        supervisor.stop()
        #expect(await status == 0)
    }

    @Test func theEndOfTheLifelineReachesTheProcess() throws {
        let child = try ChildProcess(
            ChildSpecification(name: "a", program: "/bin/sh", arguments: ["-c", "read -r x; exit 7"], environment: [:]))
        close(child.lifeline)
        #expect(ChildProcess.wait(for: child.pid) == .exited(7))
        close(child.output)
    }

    @Test func linesAreCutAndLongOnesBounded() {
        var reader = LineReader()
        var lines: [String] = []
        reader.add(Array("one\ntw".utf8)) { lines.append(String(decoding: $0, as: UTF8.self)) }
        reader.add(Array("o\n\n".utf8)) { lines.append(String(decoding: $0, as: UTF8.self)) }
        #expect(lines == ["one", "two", ""])
        var lengths: [Int] = []
        reader.add([UInt8](repeating: 65, count: LineReader.maximumLine * 2 + 1)) { lengths.append($0.count) }
        #expect(lengths == [LineReader.maximumLine, LineReader.maximumLine])
    }

    /// A killed process's child is reaped by init, at a moment that nobody announces.
    private func isGone(_ pid: pid_t) async -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let state = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            guard let state, !state.contains(") Z ") else { return true }
            await Task.yield()
        }
        return false
    }
}
