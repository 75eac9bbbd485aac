import SwiftProtobufPluginLibrary

extension Emitter {
    /// `protocol AuthServiceHandler`: one function for each method, in the shape of the service's execution class.
    func emitHandler(of service: ServiceModel, to text: inout SwiftText) {
        let shape = service.isSync ? "Sync" : "Async"
        text.line()
        documentation(of: service, to: &text)
        text.block("\(access) protocol \(service.name)Handler: \(shape)ServiceHandler {") { text in
            for method in service.methods { emitRequirement(method, to: &text) }
        }
        text.line()
        text.block("extension \(service.name)Handler {") { text in
            text.line("\(access) static var contract: ServiceDescriptor { \(service.name)Contract.service }")
            text.line()
            text.block("\(access) var \(shape.lowercased())Methods: [\(shape)Method] {") { text in
                text.block("[", closing: "]") { text in
                    text.lines(service.methods.map { entry($0, of: service, shape: shape) })
                }
            }
        }
    }

    /// The contract's comment on the service, or a sentence that says what this is.
    func documentation(of service: ServiceModel, to text: inout SwiftText) {
        let comment = service.descriptor.protoSourceComments()
        comment.isEmpty ? text.line("/// `\(service.fullName)`.") : text.documentation(comment)
    }

    private func emitRequirement(_ method: MethodModel, to text: inout SwiftText) {
        let effects = method.isSync ? "throws" : "async throws"
        let (request, response) = (swiftName(method.request), swiftName(method.response))
        text.documentation(method.descriptor.protoSourceComments())
        let name = method.swiftName
        switch (method.descriptor.clientStreaming, method.descriptor.serverStreaming) {
        case (false, false) where method.rules.inPlace:
            text.line("/// In place: `request` has the bytes of a `\(request)`, the answer those of a")
            text.line("/// `\(response)`. Contract rules are checked by who decodes.")
            text.line("func \(name)(_ request: RawSpan, _ context: CallContext) throws -> [UInt8]")
        case (false, false):
            text.line("func \(name)(_ request: \(request), _ context: CallContext) \(effects) -> \(response)")
        case (true, false):
            text.block("func \(name)(", closing: ") async throws -> \(response)") { text in
                text.line("_ requests: MessageStream<\(request)>, _ context: CallContext")
            }
        case (false, true):
            text.block("func \(name)(", closing: ") async throws") { text in
                text.line("_ request: \(request), _ responses: MessageWriter<\(response)>, _ context: CallContext")
            }
        case (true, true):
            text.block("func \(name)(", closing: ") async throws") { text in
                text.line("_ requests: MessageStream<\(request)>, _ responses: MessageWriter<\(response)>,")
                text.line("_ context: CallContext")
            }
        }
    }

    private func entry(_ method: MethodModel, of service: ServiceModel, shape: String) -> String {
        let call = method.isSync ? "try self" : "try await self"
        if method.streams {
            let arguments = method.descriptor.serverStreaming ? "$0, $1, $2" : "$0, $1"
            let descriptor = "\(service.name)Contract.\(method.swiftName)"
            return "AsyncMethod(\(method.kind): \(descriptor)) { \(call).\(method.swiftName)(\(arguments)) },"
        }
        let place = method.rules.inPlace ? "inPlace: " : ""
        return "\(shape)Method(\(place)\(service.name)Contract.\(method.swiftName)) { \(call).\(method.swiftName)($0, $1) },"
    }

    /// `struct AuthServiceClient`: one function for each method, over any channel.
    func emitClient(of service: ServiceModel, to text: inout SwiftText) {
        text.line()
        documentation(of: service, to: &text)
        text.block("\(access) struct \(service.name)Client: Sendable {") { text in
            text.line("\(access) let channel: any RPCChannel")
            text.line()
            text.block("\(access) init(_ channel: any RPCChannel) {") { $0.line("self.channel = channel") }
            for method in service.methods { emitCall(method, of: service, to: &text) }
        }
    }

    private func emitCall(_ method: MethodModel, of service: ServiceModel, to text: inout SwiftText) {
        let (request, response) = (swiftName(method.request), swiftName(method.response))
        text.line()
        text.documentation(method.descriptor.protoSourceComments())
        if method.streams { return emitStream(method, of: service, to: &text) }
        let closing = ") async throws(RPCError) -> \(response) {"
        text.block("\(access) func \(method.swiftName)(", closing: closing) { text in
            text.line("_ request: \(request), _ options: CallOptions = CallOptions()")
        }
        text.body { $0.line("try await channel.call(\(service.name)Contract.\(method.swiftName), request, options)") }
    }

    /// A streaming call lives as long as the body that is given to it.
    private func emitStream(_ method: MethodModel, of service: ServiceModel, to text: inout SwiftText) {
        let (request, response) = (swiftName(method.request), swiftName(method.response))
        let (writer, stream) = ("MessageWriter<\(request)>", "MessageStream<\(response)>")
        let options = "_ options: CallOptions = CallOptions(),"
        let parts: (generic: String, lines: [String], result: String, arguments: String)
        switch (method.descriptor.clientStreaming, method.descriptor.serverStreaming) {
        case (true, false):
            parts = ("", [options, "_ body: (\(writer)) async throws -> Void"], response, "options, body")
        case (true, true):
            let body = "_ body: (\(writer), \(stream)) async throws -> Value"
            parts = ("<Value>", [options, body], "Value", "options, body")
        default:
            let body = "_ body: (\(stream)) async throws -> Value"
            parts = ("<Value>", ["_ request: \(request), \(options)", body], "Value", "request, options, body")
        }
        let name = method.swiftName
        text.block("\(access) func \(name)\(parts.generic)(", closing: ") async throws -> \(parts.result) {") { text in
            text.lines(parts.lines)
        }
        text.body { text in
            text.line("try await channel.\(method.kind)(\(service.name)Contract.\(name), \(parts.arguments))")
        }
    }
}
