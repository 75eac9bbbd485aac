import RPCCore
import Synchronization

/// A streaming call in memory: each direction hands over a message at a time, its writer waiting until it is taken.
final class InProcessStream: RPCStream {
    private let toHandler = Handover()
    private let toCaller = Handover()
    private let request: [UInt8]
    private let task = Mutex<Task<[UInt8], any Error>?>(nil)

    var responses: InboundMessages { toCaller.messages }
    var requests: OutboundMessages { toHandler.writer }

    init(request: [UInt8]) { self.request = request }

    /// Starts the call. `run` makes it with what the handler works with.
    func start(clientStreams: Bool, _ run: @escaping @Sendable (StreamParts) async throws(RPCError) -> [UInt8]) {
        if !clientStreams { toHandler.end(nil) }
        let parts = StreamParts(request: request, requests: toHandler.messages, responses: toCaller.writer)
        let task = Task { [toHandler, toCaller] () async throws -> [UInt8] in
            do throws(RPCError) {
                let answer = try await run(parts)
                toHandler.end(.streamEnded)
                toCaller.end(nil)
                return answer
            } catch {
                toHandler.end(.streamEnded)
                toCaller.end(error)
                throw error
            }
        }
        self.task.withLock { $0 = task }
    }

    func finishRequests() { toHandler.end(nil) }

    func cancel() { task.withLock { $0 }?.cancel() }

    func answer() async throws(RPCError) -> [UInt8] {
        guard let task = task.withLock({ $0 }) else { return [] }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        do {
            return try result.get()
        } catch {
            throw .fromHandler(error)
        }
    }
}

/// One direction.
private final class Handover: Sendable {
    private struct State {
        var writers: [WriteDone] = []
        var hasEnded = false
    }

    private final class Writers: Sendable {
        let state = Mutex(State())

        func taken() {
            let writer = state.withLock { $0.writers.isEmpty ? nil : $0.writers.removeFirst() }
            writer?(nil)
        }
    }

    private let waiting: Writers
    let messages: InboundMessages

    init() {
        let waiting = Writers()
        self.waiting = waiting
        messages = InboundMessages { waiting.taken() }
    }

    var writer: OutboundMessages {
        OutboundMessages { [waiting, messages] message, done in
            let hasEnded = waiting.state.withLock { state in
                if !state.hasEnded { state.writers.append(done) }
                return state.hasEnded
            }
            if hasEnded { done(.streamEnded) } else { messages.deliver(message) }
        }
    }

    /// Nil: it ended well, and what is here is still read.
    func end(_ error: RPCError?) {
        let left = waiting.state.withLock { state in
            state.hasEnded = true
            defer { if error != nil { state.writers = [] } }
            return error == nil ? [] : state.writers
        }
        for writer in left { writer(error) }
        if let error { messages.fail(error) } else { messages.finish() }
    }
}
