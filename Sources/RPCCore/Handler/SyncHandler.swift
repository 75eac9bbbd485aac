/// The handlers of one SYNC service. Generated protocols refine it with one plain function for each method.
package protocol SyncServiceHandler: Sendable {
    static var contract: ServiceDescriptor { get }
    var syncMethods: [SyncMethod] { get }
}

/// One SYNC method, ready to run: bytes in, bytes out, no suspension. The request is read where it is: as it does not
/// suspend, the bytes may be those that the connection has just received.
package struct SyncMethod: Sendable {
    package let descriptor: MethodDescriptor
    /// - Throws: `RPCError` INVALID_ARGUMENT for bytes that do not decode or break the contract; whatever the handler
    ///   throws.
    package let run: @Sendable (RawSpan, CallContext) throws -> [UInt8]

    package init<Request: ContractMessage, Response: ContractMessage>(
        _ descriptor: MethodDescriptor,
        _ handler: @escaping @Sendable (Request, CallContext) throws -> Response
    ) {
        self.descriptor = descriptor
        self.run = { bytes, context in
            try descriptor.encode(response: handler(try descriptor.decode(request: bytes), context))
        }
    }

    /// A method that the contract calls `in_place`: the handler reads the request where it is, checks what the contract says of its
    /// fields, and gives the response as bytes.
    package init(
        inPlace descriptor: MethodDescriptor, _ handler: @escaping @Sendable (RawSpan, CallContext) throws -> [UInt8]
    ) {
        self.descriptor = descriptor
        self.run = { bytes, context in try descriptor.checked(response: handler(bytes, context)) }
    }

    /// A method that takes and gives bytes as they are: for tools and tests that have no generated messages.
    package init(
        bytes descriptor: MethodDescriptor, _ handler: @escaping @Sendable ([UInt8], CallContext) throws -> [UInt8]
    ) {
        self.descriptor = descriptor
        self.run = { bytes, context in try handler(bytes.withUnsafeBytes { [UInt8]($0) }, context) }
    }
}
