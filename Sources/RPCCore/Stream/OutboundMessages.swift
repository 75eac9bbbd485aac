/// The encoded messages of one direction of a stream, for whoever writes them.
package struct OutboundMessages: Sendable {
    /// Takes a message and says once, from wherever, when there is room for the next: nil, or why there will be none.
    package typealias Sink = @Sendable (_ message: [UInt8], _ done: @escaping WriteDone) -> Void

    private let sink: Sink

    package init(_ sink: @escaping Sink) { self.sink = sink }

    /// Sends a message. Returns when there is room for the next one: a reader that stops suspends the writer.
    ///
    /// - Throws: Why the stream takes no more: `stream_ended` when the other side has its result, how the call ended
    ///   otherwise, RESOURCE_EXHAUSTED for a message that the other side would not take.
    package func write(_ message: [UInt8]) async throws(RPCError) {
        let error = await withCheckedContinuation { continuation in
            sink(message) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }
}

/// Nil: there is room. Called once for each message.
package typealias WriteDone = @Sendable (RPCError?) -> Void

extension RPCError {
    /// The call is over, or the other side needs no more messages.
    package static let streamEnded = RPCError(
        .cancelled, "The stream has ended: its call is over.", reason: "stream_ended", processed: .maybe)
}
