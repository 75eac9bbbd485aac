/// What a streaming handler works with, in bytes: the transport's view of all three kinds.
package struct StreamParts: Sendable {
    /// The one request of a server-streaming call; empty where the client streams.
    package var request: [UInt8]
    /// What the client sends; at its end at once where it streams nothing.
    package var requests: InboundMessages
    /// What goes back; takes nothing where the server streams nothing.
    package var responses: OutboundMessages

    package init(request: [UInt8], requests: InboundMessages, responses: OutboundMessages) {
        self.request = request
        self.requests = requests
        self.responses = responses
    }
}

extension AsyncMethod {
    /// One request, any number of responses.
    package init<Request: ContractMessage, Response: ContractMessage>(
        serverStreaming descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (Request, MessageWriter<Response>, CallContext) async throws -> Void
    ) {
        self.init(streaming: descriptor) { parts, context in
            let request: Request = try descriptor.decode(request: parts.request)
            try await handler(request, descriptor.writer(parts.responses), context)
            return []
        }
    }

    /// Any number of requests, one response.
    package init<Request: ContractMessage, Response: ContractMessage>(
        clientStreaming descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (MessageStream<Request>, CallContext) async throws -> Response
    ) {
        self.init(streaming: descriptor) { parts, context in
            try descriptor.encode(response: await handler(descriptor.stream(parts.requests), context))
        }
    }

    /// Any number of both.
    package init<Request: ContractMessage, Response: ContractMessage>(
        bidirectional descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (MessageStream<Request>, MessageWriter<Response>, CallContext) async throws ->
            Void
    ) {
        self.init(streaming: descriptor) { parts, context in
            try await handler(descriptor.stream(parts.requests), descriptor.writer(parts.responses), context)
            return []
        }
    }
}

extension MethodDescriptor {
    fileprivate func stream<Request: ContractMessage>(_ requests: InboundMessages) -> MessageStream<Request> {
        MessageStream(requests) { bytes throws(RPCError) in try self.decodeItem(bytes) }
    }

    fileprivate func writer<Response: ContractMessage>(_ responses: OutboundMessages) -> MessageWriter<Response> {
        MessageWriter(responses) { message throws(RPCError) in try self.encodeItem(message) }
    }

    private func decodeItem<Request: ContractMessage>(_ bytes: [UInt8]) throws(RPCError) -> Request {
        do {
            return try decode(request: bytes)
        } catch {
            throw .fromHandler(error)
        }
    }

    private func encodeItem(_ message: some ContractMessage) throws(RPCError) -> [UInt8] {
        do {
            return try encode(response: message)
        } catch {
            throw .fromHandler(error)
        }
    }
}
