package import SwiftProtobuf

// What generated clients are made of where a method streams. The call lives as long as the body: leaving it, in
// whichever way, ends the call.
extension RPCChannel {
    /// - Throws: `RPCError`, and what the body throws.
    package func serverStreaming<Request: Message, Response: Message, Value>(
        _ method: MethodDescriptor, _ request: Request, _ options: CallOptions,
        _ body: (MessageStream<Response>) async throws -> Value
    ) async throws -> Value {
        let stream = try open(method, request: try method.encode(request: request), options: options)
        return try await stream.scoped { try await body(method.responses(stream)) }
    }

    /// The one response, once the body has written all requests. Writing throws `stream_ended` when the server has
    /// answered before; that is no failure of the call.
    package func clientStreaming<Request: Message, Response: Message>(
        _ method: MethodDescriptor, _ options: CallOptions, returning: Response.Type = Response.self,
        _ body: (MessageWriter<Request>) async throws -> Void
    ) async throws -> Response {
        let stream = try open(method, request: [], options: options)
        let answer = try await stream.scoped {
            do {
                try await body(method.requests(stream))
                stream.finishRequests()
            } catch let error as RPCError where error.reason == RPCError.streamEnded.reason {
                // The answer says why.
            }
            return try await stream.answer()
        }
        return try method.decodeAnswer(answer)
    }

    /// The client's direction ends with the body, unless `finish` has ended it before.
    package func bidirectional<Request: Message, Response: Message, Value>(
        _ method: MethodDescriptor, _ options: CallOptions,
        _ body: (MessageWriter<Request>, MessageStream<Response>) async throws -> Value
    ) async throws -> Value {
        let stream = try open(method, request: [], options: options)
        return try await stream.scoped { try await body(method.requests(stream), method.responses(stream)) }
    }
}

extension RPCStream {
    /// Runs the body, then ends the call if it has not ended by itself.
    fileprivate func scoped<Value>(_ body: () async throws -> Value) async throws -> Value {
        defer { cancel() }
        return try await withTaskCancellationHandler {
            try await body()
        } onCancel: {
            cancel()
        }
    }
}

extension MethodDescriptor {
    fileprivate func responses<Response: Message>(_ stream: any RPCStream) -> MessageStream<Response> {
        MessageStream(stream.responses) { bytes throws(RPCError) in try self.decodeAnswer(bytes) }
    }

    fileprivate func requests<Request: Message>(_ stream: any RPCStream) -> MessageWriter<Request> {
        MessageWriter(stream.requests, finish: stream.finishRequests) { message throws(RPCError) in
            try self.encode(request: message)
        }
    }

    /// - Throws: INTERNAL for bytes that are no such message.
    func decodeAnswer<Response: Message>(_ bytes: [UInt8]) throws(RPCError) -> Response {
        do {
            return try Response(serializedBytes: bytes.span.bytes)
        } catch {
            throw RPCError(.internal, "The answer of \(fullName) does not decode.", reason: "malformed_response")
        }
    }
}
