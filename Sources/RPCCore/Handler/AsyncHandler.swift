/// The handlers of one ASYNC service. Generated protocols refine it with one `async` function for each method.
package protocol AsyncServiceHandler: Sendable {
    static var contract: ServiceDescriptor { get }
    var asyncMethods: [AsyncMethod] { get }
}

/// One ASYNC method, ready to run on its task's preferred executor: the connection's event loop.
package struct AsyncMethod: Sendable {
    package let descriptor: MethodDescriptor
    /// - Throws: `RPCError` INVALID_ARGUMENT for bytes that do not decode or break the contract; whatever the handler
    ///   throws.
    package let run: @Sendable ([UInt8], CallContext) async throws -> [UInt8]
    /// The same for a method that streams; nil for one that does not. What it returns is the one response where the
    /// server does not stream, else nothing.
    package let stream: (@Sendable (StreamParts, CallContext) async throws -> [UInt8])?

    package init<Request: ContractMessage, Response: ContractMessage>(
        _ descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (Request, CallContext) async throws -> Response
    ) {
        self.descriptor = descriptor
        self.stream = nil
        self.run = { bytes, context in
            try descriptor.encode(response: await handler(try descriptor.decode(request: bytes), context))
        }
    }

    /// A method that takes and gives bytes as they are: for tools and tests that have no generated messages.
    package init(
        bytes descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable ([UInt8], CallContext) async throws -> [UInt8]
    ) {
        self.descriptor = descriptor
        self.stream = nil
        self.run = handler
    }

    /// A method that streams bytes as they are.
    package init(
        streaming descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (StreamParts, CallContext) async throws -> [UInt8]
    ) {
        self.descriptor = descriptor
        self.stream = handler
        self.run = { _, _ in throw RPCError(.unimplemented, "\(descriptor.fullName) streams.", processed: .no) }
    }
}
