import NIOCore
import RPCCore
import WireCore

/// What the task of an ASYNC handler needs, in one object: a closure that captured it all would be several.
final class HandlerTask: Sendable {
    enum Work: Sendable {
        case message(@Sendable ([UInt8], CallContext) async throws -> [UInt8], [UInt8])
        case stream(@Sendable (StreamParts, CallContext) async throws -> [UInt8], StreamParts)
    }

    private let id: CallID
    private let work: Work
    private let context: CallContext
    private let session: NIOLoopBound<ServerSession>
    private let loop: any EventLoop
    private let started: MonotonicInstant

    init(
        _ id: CallID, _ work: Work, _ context: CallContext, _ session: NIOLoopBound<ServerSession>,
        _ loop: any EventLoop, started: MonotonicInstant
    ) {
        self.id = id
        self.work = work
        self.context = context
        self.session = session
        self.loop = loop
        self.started = started
    }

    func body() async {
        let result: Result<[UInt8], any Error>
        do {
            result = .success(try await HandlerScope.run(context, traced))
        } catch {
            result = .failure(error)
        }
        finish(.ended(result, started: started, ended: .now))
    }

    /// In the call's place in its trace, where that is kept.
    private nonisolated(nonsending) func traced() async throws -> [UInt8] {
        guard let span = context.span else { return try await answer() }
        return try await span.run { try await self.answer() }
    }

    private nonisolated(nonsending) func answer() async throws -> [UInt8] {
        switch work {
        case .message(let run, let request): try await run(request, context)
        case .stream(let run, let parts): try await run(parts, context)
        }
    }

    /// Where the connection lives; a handler may have ended elsewhere.
    private func finish(_ end: CallEnd) {
        if loop.inEventLoop { return session.value.finish(id, end) }
        loop.execute { [session, id] in session.value.finish(id, end) }
    }
}
