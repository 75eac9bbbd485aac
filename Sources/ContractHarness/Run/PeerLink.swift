import Foundation
import Glibc
import RPCTransport
import Supervision
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
        let command = ConformanceCommand.with {
            $0.id = id
            $0.body = body
        }
        let reply = try await within(limit, orFail: StepFailure("the reference does not answer `\(body.name)` within \(limit)")) {
            await core.reply(command)
        }
        guard let body = reply.body else { throw StepFailure("an empty reply") }
        if case .failure(let text) = body { throw StepFailure("the reference: \(text)") }
        return body
    }

    func end() async {}
}

/// An implementation under test: a child process that speaks PROTOCOL.md.
///
/// Nothing here waits for a process on a thread of the cooperative pool: peers end beside others that are to go on.
final class ChildPeer: PeerLink {
    private typealias Waiting = CheckedContinuation<Result<ConformanceReply.OneOf_Body, StepFailure>, Never>

    private struct State {
        var waiting: [UInt64: Waiting] = [:]
        var end: String?
        var log: [String] = []
        var isClosed = false
    }

    private let process: ChildProcess
    private let pipe: MessagePipe
    private let state = Mutex(State())
    private let writes = DispatchQueue(label: "contract.commands")
    /// Open once the process has ended.
    private let ended = Latch()
    private static let logLines = 200
    /// How long a process may take to end once its standard input has.
    private static let grace: Duration = .seconds(2)

    var pid: Int32? { process.pid }

    /// What it wrote on standard error, the last lines.
    var log: [String] { state.withLock { $0.log } }

    /// - Parameter command: As a shell takes one command: variables may stand before it.
    init(command: String, echoesLog: Bool) throws(StepFailure) {
        // A child that ends must not end the harness that writes to it.
        signal(SIGPIPE, SIG_IGN)
        // A socket that another process holds open does not close: what ends here is to end for the other end, too.
        let shell = ChildSpecification(
            name: "peer", program: "/bin/sh", arguments: ["-c", "exec env \(command)"],
            environment: ProcessInfo.processInfo.environment, inheritsDescriptors: false)
        do throws(SpawnError) {
            process = try ChildProcess(shell, keepsErrorsApart: true)
        } catch {
            throw StepFailure("`\(command)` does not start: \(error)")
        }
        pipe = MessagePipe(input: process.output, output: process.lifeline)
        Thread.detachNewThread { [process, ended] in
            _ = ChildProcess.wait(for: process.pid)
            ended.open()
        }
        Task { [self] in await listen(command) }
        keepLog(echoes: echoesLog)
    }

    deinit { close(process.output) }

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
                if state.isClosed { return state.end ?? StepFailure.ended.description }
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
                // Its descriptor may be another one's since.
                guard !state.withLock({ $0.isClosed }) else { return resolve(id, .failure(.ended)) }
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
        guard let errors = process.errors else { return }
        Thread.detachNewThread { [weak self] in
            LineReader.read(errors) { line in
                if echoes { FileHandle.standardError.write(Data(line + [UInt8(ascii: "\n")])) }
                self?.state.withLock { $0.log = Array(($0.log + [String(decoding: line, as: UTF8.self)]).suffix(Self.logLines)) }
            }
        }
    }

    /// Ends the child: politely, then not.
    func end() async {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        // In turn with what is written to it; a child that reads nothing does not keep its own end from coming.
        if isFirst { writes.async { [process] in close(process.lifeline) } }
        try? await within(Self.grace, orFail: .ended) { [ended] in await ended.wait() }
        if !ended.isOpen { process.signal(SIGKILL) }
        await ended.wait()
    }
}

extension StepFailure {
    fileprivate static let ended = StepFailure("the peer has been ended")
}

extension ConformanceCommand.OneOf_Body {
    /// As control.proto says it.
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
