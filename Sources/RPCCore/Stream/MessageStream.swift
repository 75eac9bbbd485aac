package import SwiftProtobuf

/// The messages of one direction of a stream, decoded, for one reader. Credit goes back as they are read: a reader that
/// stops suspends its writer and nobody else.
package struct MessageStream<Element: Message>: AsyncSequence, Sendable {
    package typealias Failure = RPCError

    private let messages: InboundMessages
    private let decode: @Sendable ([UInt8]) throws(RPCError) -> Element

    package init(_ messages: InboundMessages, decode: @escaping @Sendable ([UInt8]) throws(RPCError) -> Element) {
        self.messages = messages
        self.decode = decode
    }

    package func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    /// The next message; nil at the end.
    ///
    /// - Throws: How the stream ended, when not well; INVALID_ARGUMENT at a server, INTERNAL at a client for a message
    ///   that does not decode or breaks the contract.
    package func next() async throws(RPCError) -> Element? {
        guard let bytes = try await messages.next() else { return nil }
        return try decode(bytes)
    }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let stream: MessageStream

        package mutating func next() async throws(RPCError) -> Element? { try await stream.next() }

        package mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(RPCError) -> Element? {
            try await stream.next()
        }
    }
}

/// Writes the messages of one direction of a stream.
package struct MessageWriter<Element: Message>: Sendable {
    private let messages: OutboundMessages
    private let encode: @Sendable (Element) throws(RPCError) -> [UInt8]
    private let end: @Sendable () -> Void

    package init(
        _ messages: OutboundMessages, finish: @escaping @Sendable () -> Void = {},
        encode: @escaping @Sendable (Element) throws(RPCError) -> [UInt8]
    ) {
        self.messages = messages
        self.end = finish
        self.encode = encode
    }

    /// Nothing more will be written: what a client says that goes on reading. A server's stream ends with its handler.
    package func finish() { end() }

    /// Sends a message. Returns when there is room for the next one.
    ///
    /// - Throws: Why the stream takes no more; RESOURCE_EXHAUSTED for a message above the contract's limit.
    package func write(_ message: Element) async throws(RPCError) {
        try await messages.write(try encode(message))
    }
}
