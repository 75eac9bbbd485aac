import NIOCore
import RPCCore
import RPCTransport
import Synchronization
import WireCore

/// One call of this process, from `call` to its answer. Ends exactly once, whoever ends it.
final class PendingCall: Sendable {
    typealias Answer = Result<[UInt8], RPCError>
    /// Unchecked, for a check costs an allocation: `end` takes it out of the state, so it is resumed once.
    typealias Continuation = UnsafeContinuation<Answer, Never>

    /// Where the call is.
    struct Place: Sendable {
        let connection: ClientConnectionHandle
        let id: CallID
    }

    private struct State {
        var continuation: Continuation?
        var answer: Answer?
        var place: Place?
        /// Where it is, or was last.
        var peer: PeerID?
        var attempts: Attempts
        var timer: Scheduled<Void>?
        var started: MonotonicInstant?
    }

    let method: MethodDescriptor
    let request: [UInt8]
    let options: CallOptions
    let deadline: Deadline
    let submitted: MonotonicInstant
    /// The two directions of a call that streams.
    let stream: ClientStream?
    /// Who hears of the end instead of a continuation: then this is one attempt of a call, and not to be repeated.
    private let onEnd: (@Sendable (Answer) -> Void)?
    private let requestID: RequestID
    private let state: Mutex<State>

    init(
        _ method: MethodDescriptor, _ request: [UInt8], _ options: CallOptions, deadline: Deadline,
        now: MonotonicInstant, stream: ClientStream? = nil, attempt: Int = 1,
        onEnd: (@Sendable (Answer) -> Void)? = nil
    ) {
        self.stream = stream
        self.onEnd = onEnd
        self.state = Mutex(State(attempts: Attempts(number: attempt)))
        self.method = method
        self.request = request
        self.options = options
        self.deadline = deadline
        self.submitted = now
        self.requestID = options.requestID.flatMap { RequestID($0) } ?? RequestID()
    }

    /// May be sent again.
    var repeats: Bool { onEnd == nil && options.repeats }
    var attempts: Attempts { state.withLock { $0.attempts } }
    /// Where it was sent last.
    var peer: PeerID? { state.withLock { $0.peer } }
    var isEnded: Bool { state.withLock { $0.answer != nil } }

    /// How long the call waited before it was sent; until now if it was not.
    func waited(now: MonotonicInstant = .now) -> Duration {
        submitted.duration(to: state.withLock { $0.started } ?? now)
    }

    /// Whom to resume; false when the call has ended already, and the continuation has been resumed.
    func wait(with continuation: Continuation) -> Bool {
        let answer = state.withLock { state in
            if state.answer == nil { state.continuation = continuation }
            return state.answer
        }
        if let answer { continuation.resume(returning: answer) }
        return answer == nil
    }

    /// Ends the call; later endings are ignored.
    ///
    /// - Parameter there: What the server says of the time of an answer; an error says so itself.
    /// - Returns: Where the call was, when it has to be cancelled there.
    @discardableResult
    func end(_ answer: Answer, there: CallTimeline? = nil) -> Place? {
        var answer = answer
        var timeline: CallTimeline?
        let ended = state.withLock { state -> (Continuation?, Place?, Scheduled<Void>?)? in
            guard state.answer == nil else { return nil }
            timeline = time(&answer, state.started, there)
            // What ends the last attempt says nothing of those before.
            if state.attempts.mayHaveRun, case .failure(var error) = answer, error.processed == .no {
                error.processed = .maybe
                answer = .failure(error)
            }
            state.answer = answer
            return (state.continuation.take(), state.place.take(), state.timer.take())
        }
        guard let (continuation, place, timer) = ended else { return nil }
        timer?.cancel()
        if let onEnd = options.onEnd, let timeline { onEnd(timeline) }
        continuation?.resume(returning: answer)
        stream?.end(answer)
        onEnd?(answer)
        return place
    }

    /// Where the call's time went, until now. An error says so; an answer does only to whoever asks
    /// (`CallOptions.onEnd`), and costs nothing else.
    private func time(_ answer: inout Answer, _ started: MonotonicInstant?, _ there: CallTimeline?) -> CallTimeline? {
        if case .success = answer, options.onEnd == nil { return nil }
        let now = MonotonicInstant.now
        var timeline = there ?? CallTimeline()
        if case .failure(let error) = answer { timeline = error.timeline }
        timeline.waitedForConnection = submitted.duration(to: started ?? now)
        timeline.sent = started?.duration(to: now)
        if case .failure(var error) = answer {
            error.timeline = timeline
            answer = .failure(error)
        }
        return timeline
    }

    /// The timer that ends the call while it waits for a connection.
    func guarded(by timer: Scheduled<Void>) {
        let old = state.withLock { state -> Scheduled<Void>? in
            guard state.answer == nil, state.place == nil else { return timer }
            defer { state.timer = timer }
            return state.timer
        }
        old?.cancel()
    }

    /// The call was sent; false when it has ended meanwhile and must be cancelled there.
    func began(at place: Place, now: MonotonicInstant) -> Bool {
        let (isWanted, timer) = state.withLock { state -> (Bool, Scheduled<Void>?) in
            guard state.answer == nil else { return (false, nil) }
            state.place = place
            state.peer = place.connection.peer
            state.started = now
            defer { state.timer = nil }
            return (true, state.timer)
        }
        timer?.cancel()
        if isWanted { stream?.attach(place) }
        return isWanted
    }

    /// One more attempt follows; false when the call has ended, or has messages behind it that cannot be had again.
    func reopen(_ attempts: Attempts) -> Bool {
        guard stream?.detach() ?? true else { return false }
        return state.withLock { state in
            guard state.answer == nil else { return false }
            state.attempts = attempts
            state.place = nil
            return true
        }
    }

    /// - Parameter metadata: Memory for the call's, whose contents do not matter.
    func outgoing(metadata: inout WireMetadata) -> OutgoingCall {
        metadata.fill(options, requestID: requestID, attempt: attempts.number)
        return OutgoingCall(
            method: method.id, kind: WireCallKind(method.kind), lane: WireLane(options.lane),
            deadline: WireClock.instant(at: deadline.instant),
            metadata: metadata, bytes: request, responseLimit: UInt32(clamping: method.responseLimit))
    }
}
