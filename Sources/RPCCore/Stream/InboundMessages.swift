import DequeModule
import Synchronization

/// The encoded messages of one direction of a stream, for whoever reads them: in order, each once, to one reader.
///
/// What is here and not yet read is bounded by the sender's credit, which the transport gives back as messages are
/// taken.
package final class InboundMessages: Sendable {
    private typealias Step = Result<[UInt8]?, RPCError>

    private struct State {
        var messages = Deque<[UInt8]>()
        /// Nil while messages may follow.
        var end: Result<Void, RPCError>?
        var reader: CheckedContinuation<Step, Never>?
    }

    private let state = Mutex(State())
    private let onTake: @Sendable () -> Void

    /// - Parameter onTake: Called once for each message that was taken.
    package init(onTake: @escaping @Sendable () -> Void) { self.onTake = onTake }

    // MARK: The reader

    /// The next message; nil at the end. Waits for it.
    ///
    /// - Throws: How the stream ended, when not well; what was sent before has been read by then. INTERNAL when
    ///   somebody else waits already.
    package func next() async throws(RPCError) -> [UInt8]? {
        let step: Step
        if let now = state.withLock({ Self.take(&$0) }) {
            step = now
        } else {
            step = await withCheckedContinuation { wait($0) }
        }
        if case .success(_?) = step { onTake() }
        return try step.get()
    }

    /// Nothing is left and nothing follows.
    package var isAtEnd: Bool { state.withLock { $0.end != nil && $0.messages.isEmpty } }

    private static func take(_ state: inout State) -> Step? {
        if let message = state.messages.popFirst() { return .success(message) }
        return state.end.map { end in end.map { nil } }
    }

    private func wait(_ continuation: CheckedContinuation<Step, Never>) {
        let step = state.withLock { state -> Step? in
            if let step = Self.take(&state) { return step }
            guard state.reader == nil else { return .failure(Self.secondReader) }
            state.reader = continuation
            return nil
        }
        if let step { continuation.resume(returning: step) }
    }

    private static let secondReader = RPCError(.internal, "A stream of messages has one reader at a time.")

    // MARK: The transport

    /// One more message. Dropped once the stream has ended.
    package func deliver(_ message: [UInt8]) {
        let reader = state.withLock { state -> CheckedContinuation<Step, Never>? in
            guard state.end == nil else { return nil }
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            state.messages.append(message)
            return nil
        }
        reader?.resume(returning: .success(message))
    }

    /// No message follows. Only the first end counts.
    package func finish() { end(.success(())) }

    /// The stream has ended otherwise. What was not read is lost when the reader's call is over anyway.
    ///
    /// - Parameter discards: Forget what was not read: the reader is to stop, not to go on.
    package func fail(_ error: RPCError, discards: Bool = false) {
        if discards { state.withLock { $0.messages.removeAll() } }
        end(.failure(error))
    }

    private func end(_ end: Result<Void, RPCError>) {
        let reader = state.withLock { state -> CheckedContinuation<Step, Never>? in
            guard state.end == nil else { return nil }
            state.end = end
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: end.map { nil })
    }
}
