import Foundation
import Glibc
import Synchronization

/// A way to give commands to an implementation.
protocol PeerLink: Sendable {
    /// - Throws: `StepFailure` when it answers with a failure, or not in time.
    func send(_ body: ConformanceCommand.OneOf_Body, id: UInt64, within limit: Duration) async throws
        -> ConformanceReply.OneOf_Body
    /// The process, where it is one of its own.
    var pid: Int32? { get }
    func end() async
}

extension PeerLink {
    func send(
        _ body: ConformanceCommand.OneOf_Body, within limit: Duration = .seconds(20)
    ) async throws -> ConformanceReply.OneOf_Body {
        try await send(body, id: CommandID.next(), within: limit)
    }

    func describe() async throws -> ConformanceDescription {
        guard case .description_p(let description) = try await send(.describe(ConformanceDescribe())) else {
            throw StepFailure("the peer answers `describe` with something else")
        }
        return description
    }
}

/// Numbers for commands.
enum CommandID {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}

/// Our own implementation within this process: the reference at the other end.
struct LocalPeer: PeerLink {
    let core = PeerCore()

    var pid: Int32? { nil }

    func send(
        _ body: ConformanceCommand.OneOf_Body, id: UInt64, within limit: Duration
    ) async throws -> ConformanceReply.OneOf_Body {
        let reply = await core.reply(
            .with {
                $0.id = id
                $0.body = body
            })
        guard let body = reply.body else { throw StepFailure("an empty reply") }
        if case .failure(let text) = body { throw StepFailure("the reference: \(text)") }
        return body
    }

    func end() async {}
}

/// An implementation under test: a child process that speaks PROTOCOL.md.
final class ChildPeer: PeerLink {
    private typealias Waiting = CheckedContinuation<Result<ConformanceReply.OneOf_Body, StepFailure>, Never>

    private struct State {
        var waiting: [UInt64: Waiting] = [:]
        var end: String?
        var log: [String] = []
    }

    private let process = Process()
    private let pipe: MessagePipe
    private let input = Pipe()
    private let output = Pipe()
    private let errors = Pipe()
    private let state = Mutex(State())
    private let writes = DispatchQueue(label: "contract.commands")
    private static let logLines = 200

    var pid: Int32? { process.processIdentifier }

    /// What it wrote on standard error, the last lines.
    var log: [String] { state.withLock { $0.log } }

    /// - Parameter command: As a shell takes one command: variables may stand before it.
    init(command: String, echoesLog: Bool) throws(StepFailure) {
        // A child that ends must not end the harness that writes to it.
        signal(SIGPIPE, SIG_IGN)
        pipe = MessagePipe(
            input: output.fileHandleForReading.fileDescriptor, output: input.fileHandleForWriting.fileDescriptor)
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "exec env \(command)"]
        (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
        do {
            try process.run()
        } catch {
            throw StepFailure("`\(command)` does not start: \(error.localizedDescription)")
        }
        Task { [self] in await listen(command) }
        keepLog(echoes: echoesLog)
    }

    func send(
        _ body: ConformanceCommand.OneOf_Body, id: UInt64, within limit: Duration
    ) async throws -> ConformanceReply.OneOf_Body {
        let timer = Task { [self] in
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            resolve(id, .failure(StepFailure("the peer does not answer `\(body.name)` within \(limit)")))
        }
        defer { timer.cancel() }
        let result = await withCheckedContinuation { continuation in
            let end = state.withLock { state -> String? in
                if state.end == nil { state.waiting[id] = continuation }
                return state.end
            }
            if let end { return continuation.resume(returning: .failure(StepFailure(end))) }
            let command = ConformanceCommand.with {
                $0.id = id
                $0.body = body
            }
            // A peer that reads no commands blocks the pipe, and nobody but the writer is to wait for that.
            writes.async { [self] in
                do {
                    try pipe.send(command)
                } catch {
                    resolve(id, .failure(StepFailure("the peer takes no commands: \(error)")))
                }
            }
        }
        let reply = try result.get()
        if case .failure(let text) = reply { throw StepFailure("the peer: \(text)") }
        return reply
    }

    private func resolve(_ id: UInt64, _ result: Result<ConformanceReply.OneOf_Body, StepFailure>) {
        state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: result)
    }

    private func listen(_ command: String) async {
        var reason = "the peer `\(command)` has ended"
        do {
            for try await reply in pipe.messages(ConformanceReply.self) {
                guard let body = reply.body else { continue }
                resolve(reply.id, .success(body))
            }
        } catch {
            reason = "the peer `\(command)` does not speak the protocol: \(error)"
        }
        let waiting = state.withLock { state in
            state.end = reason
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume(returning: .failure(StepFailure(reason))) }
    }

    private func keepLog(echoes: Bool) {
        let handle = errors.fileHandleForReading
        let thread = Thread { [weak self] in
            while true {
                let data = handle.availableData
                guard !data.isEmpty else { return }
                if echoes { FileHandle.standardError.write(data) }
                let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
                self?.state.withLock { $0.log = Array(($0.log + lines).suffix(Self.logLines)) }
            }
        }
        thread.name = "peer's log"
        thread.start()
    }

    /// Ends the child: politely, then not.
    func end() async {
        try? input.fileHandleForWriting.close()
        for _ in 0..<100 where process.isRunning { try? await Task.sleep(for: .milliseconds(20)) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// Whether the process still runs.
    var isRunning: Bool { process.isRunning }
}

extension ConformanceCommand.OneOf_Body {
    fileprivate var name: String {
        switch self {
        case .describe: "describe"
        case .startServer: "start_server"
        case .drainServer: "drain_server"
        case .report: "report"
        case .reload: "reload"
        case .openChannel: "open_channel"
        case .closeChannel: "close_channel"
        case .call: "call"
        case .cancelCall: "cancel_call"
        }
    }
}
