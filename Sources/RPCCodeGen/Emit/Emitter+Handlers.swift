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
        text.line(
            "func \(method.swiftName)(_ request: \(request), _ context: CallContext) \(effects) -> \(response)")
    }

    private func entry(_ method: MethodModel, of service: ServiceModel, shape: String) -> String {
        let call = method.isSync ? "try self" : "try await self"
        return "\(shape)Method(\(service.name)Contract.\(method.swiftName)) { \(call).\(method.swiftName)($0, $1) },"
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
        let closing = ") async throws(RPCError) -> \(response) {"
        text.block("\(access) func \(method.swiftName)(", closing: closing) { text in
            text.line("_ request: \(request), _ options: CallOptions = CallOptions()")
        }
        text.body { $0.line("try await channel.call(\(service.name)Contract.\(method.swiftName), request, options)") }
    }
}
