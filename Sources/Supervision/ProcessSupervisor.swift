import Foundation
import Glibc

/// Keeps processes running: `Supervisor` with real processes, pipes and time.
package final class ProcessSupervisor: Sendable {
    /// One line of a process.
    package typealias Output = @Sendable (_ name: String, _ line: [UInt8]) -> Void
    package typealias Reporter = @Sendable (Supervisor.Report) -> Void

    private enum Event: Sendable {
        case ended(String, pid_t, Termination)
        case tick
        case stop
    }

    private let children: [ChildSpecification]
    private let backoff: RestartBackoff
    private let stopGrace: Duration
    private let runDirectory: String?
    private let output: Output
    private let report: Reporter
    private let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    /// - Parameters:
    ///   - stopGrace: How long each may take to end when it is asked to.
    ///   - runDirectory: Where `NAME.pid` files are kept while a process runs.
    package init(
        _ children: [ChildSpecification], backoff: RestartBackoff = RestartBackoff(),
        stopGrace: Duration, runDirectory: String? = nil, output: @escaping Output,
        report: @escaping Reporter
    ) {
        self.children = children
        self.backoff = backoff
        self.stopGrace = stopGrace
        self.runDirectory = runDirectory
        self.output = output
        self.report = report
        (events, continuation) = AsyncStream.makeStream()
    }

    /// All are to end; a second time, at once.
    package func stop() { continuation.yield(.stop) }

    /// Runs until `stop` and all have ended, or until one says that it cannot start.
    ///
    /// - Returns: The status with which to exit.
    package func run() async -> Int32 {
        let start = ContinuousClock.now
        var running: [String: ChildProcess] = [:]
        var state = Supervisor(children.map(\.name), backoff: backoff, stopGrace: stopGrace)
        var timer: Task<Void, Never>?
        perform(state.begin(now: .zero), &running)
        for await event in events {
            let now = start.duration(to: .now)
            switch event {
            case .ended(let name, let pid, let termination):
                forget(name, pid, &running)
                perform(state.ended(name, termination, now: now), &running)
            case .tick: perform(state.tick(now: now), &running)
            case .stop: perform(state.stop(now: now), &running)
            }
            if state.isFinished { break }
            timer?.cancel()
            timer = state.nextWake.map { wake(at: start + $0) }
        }
        timer?.cancel()
        return state.exitStatus
    }

    private func wake(at instant: ContinuousClock.Instant) -> Task<Void, Never> {
        Task { [continuation] in
            // Cancelled when another event moves the next wake.
            guard (try? await Task.sleep(until: instant, clock: .continuous)) != nil else { return }
            continuation.yield(.tick)
        }
    }

    private func perform(_ actions: [Supervisor.Action], _ running: inout [String: ChildProcess]) {
        for action in actions {
            switch action {
            case .start(let name): start(name, &running)
            case .terminate(let name): running[name]?.signal(SIGTERM)
            case .kill(let name): running[name]?.signal(SIGKILL)
            case .report(let report): self.report(report)
            }
        }
    }

    private func start(_ name: String, _ running: inout [String: ChildProcess]) {
        guard let child = children.first(where: { $0.name == name }) else { return }
        do {
            let process = try ChildProcess(child)
            running[name] = process
            remember(name, process.pid)
            watch(name, process)
        } catch {
            output(name, Array(error.description.utf8))
            continuation.yield(.ended(name, 0, .failedToStart))
        }
    }

    /// Two threads for each process: one reads what it writes, one waits for its end.
    private func watch(_ name: String, _ process: ChildProcess) {
        let (descriptor, pid) = (process.output, process.pid)
        Thread.detachNewThread { [output] in LineReader.read(descriptor) { output(name, $0) } }
        Thread.detachNewThread { [continuation] in
            continuation.yield(.ended(name, pid, ChildProcess.wait(for: pid)))
        }
    }

    private func forget(_ name: String, _ pid: pid_t, _ running: inout [String: ChildProcess]) {
        guard let process = running[name], process.pid == pid else { return }
        // What it started and left behind goes with it.
        process.signal(SIGKILL)
        close(process.lifeline)
        running[name] = nil
        if let runDirectory { unlink("\(runDirectory)/\(name).pid") }
    }

    private func remember(_ name: String, _ pid: pid_t) {
        guard let runDirectory else { return }
        try? FileManager.default.createDirectory(atPath: runDirectory, withIntermediateDirectories: true)
        try? Data("\(pid)\n".utf8).write(to: URL(fileURLWithPath: "\(runDirectory)/\(name).pid"), options: .atomic)
    }
}
