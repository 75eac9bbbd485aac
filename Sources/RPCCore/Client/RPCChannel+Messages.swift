package import SwiftProtobuf

extension RPCChannel {
    /// Encodes, calls and decodes: what generated clients are made of.
    ///
    /// - Throws: `RPCError`; RESOURCE_EXHAUSTED before anything is sent when the request is over the contract's limit,
    ///   INTERNAL when the answer does not decode.
    package func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor, _ request: Request, _ options: CallOptions, returning: Response.Type = Response.self
    ) async throws(RPCError) -> Response {
        try method.decodeAnswer(await call(method, request: try method.encode(request: request), options: options))
    }
}

extension MethodDescriptor {
    /// The request's bytes, checked against the contract's limit.
    package func encode(request: some Message) throws(RPCError) -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try request.serializedBytes()
        } catch {
            throw RPCError(.invalidArgument, "The request of \(fullName) does not encode.", processed: .no)
        }
        guard bytes.count <= requestLimit else {
            throw RPCError(
                .resourceExhausted, "The request of \(fullName) has \(bytes.count) bytes; \(requestLimit) are allowed.",
                reason: "request_too_large", processed: .no)
        }
        return bytes
    }
}
