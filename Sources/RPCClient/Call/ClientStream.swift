import RPCCore
import Synchronization
import WireCore

/// The two directions of a streaming call at its client, from the start of the call to its end, whichever connection it
/// comes to. What is written before there is one waits here; its writer does too.
final class ClientStream: Sendable {
    private struct State {
        var place: PendingCall.Place?
        var waiting: [(message: [UInt8], done: WriteDone)] = []
        var hasFinished = false
        /// Something was sent that could not be sent again elsewhere.
        var hasSent = false
        /// The application may have seen a part of the answer: it is not to see it twice.
        var hasReceived = false
        var hasEnded = false
    }

    private let state: Mutex<State>
    let responses: InboundMessages

    init() {
        let taken = Taken()
        state = Mutex(State())
        responses = InboundMessages { taken.stream.withLock { $0.stream }?.take() }
        taken.stream.withLock { $0.stream = self }
    }

    /// What tells the stream of messages that were taken: made before the stream is.
    private final class Taken: Sendable {
        struct Reference { weak var stream: ClientStream? }
        let stream = Mutex(Reference())
    }

    // MARK: The application

    func write(_ message: [UInt8], _ done: @escaping WriteDone) {
        let (place, hasEnded) = state.withLock { state -> (PendingCall.Place?, Bool) in
            guard !state.hasEnded, !state.hasFinished else { return (nil, true) }
            if state.place == nil { state.waiting.append((message, done)) } else { state.hasSent = true }
            return (state.place, false)
        }
        if hasEnded { return done(.streamEnded) }
        if let place { place.connection.run { $0.send(place.id, message, done) } }
    }

    func finishRequests() {
        let place = state.withLock { state -> PendingCall.Place? in
            guard !state.hasFinished else { return nil }
            state.hasFinished = true
            if state.place != nil { state.hasSent = true }
            return state.place
        }
        if let place { place.connection.run { $0.finishRequests(place.id) } }
    }

    private func take() {
        if let place = state.withLock({ $0.place }) { place.connection.run { $0.take(place.id) } }
    }

    // MARK: The call

    /// The call was sent there: what waits follows it.
    func attach(_ place: PendingCall.Place) {
        let (waiting, hasFinished) = state.withLock { state in
            state.place = place
            defer { state.waiting = [] }
            state.hasSent = state.hasSent || !state.waiting.isEmpty || state.hasFinished
            return (state.waiting, state.hasFinished)
        }
        place.connection.run { session in
            for entry in waiting { session.send(place.id, entry.message, entry.done) }
            if hasFinished { session.finishRequests(place.id) }
        }
    }

    /// A message of the server's stream.
    func deliver(_ message: [UInt8]) {
        state.withLock { $0.hasReceived = true }
        responses.deliver(message)
    }

    /// The call goes elsewhere; false when it cannot any more.
    func detach() -> Bool {
        state.withLock { state in
            guard !state.hasSent, !state.hasReceived else { return false }
            state.place = nil
            return true
        }
    }

    /// The call has ended.
    func end(_ answer: PendingCall.Answer) {
        let waiting = state.withLock { state in
            state.hasEnded = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for entry in waiting { entry.done(.streamEnded) }
        switch answer {
        case .success: responses.finish()
        case .failure(let error): responses.fail(error)
        }
    }
}

/// A streaming call as its caller holds it.
struct OpenStream: RPCStream {
    let pool: ClientPool
    let call: PendingCall
    let stream: ClientStream

    var responses: InboundMessages { stream.responses }
    var requests: OutboundMessages { OutboundMessages { [stream] in stream.write($0, $1) } }

    func finishRequests() { stream.finishRequests() }
    func cancel() { pool.cancel(call) }
    func answer() async throws(RPCError) -> [UInt8] { try await pool.answer(of: call) }
}
