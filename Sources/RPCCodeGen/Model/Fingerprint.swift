import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// A service's contract as one canonical text: the same for the same contract, whatever its comments, its order of
/// declarations or the generator's version.
struct Fingerprint {
    private(set) var canonical = ""

    init(_ service: ServiceModel) {
        write("service \(service.fullName)", service.rules)
        for method in service.methods.sorted(by: { $0.name < $1.name }) { add(method) }
        let messages = Dictionary(
            service.methods.flatMap { $0.request.closure + $0.response.closure }.map { ($0.fullName, $0) },
            uniquingKeysWith: { first, _ in first })
        for (_, message) in messages.sorted(by: { $0.key < $1.key }) { add(message) }
    }

    /// The first eight bytes of the text's SHA-256, big-endian.
    var value: UInt64 { SHA256.prefix(of: canonical, as: UInt64.self) }

    private mutating func add(_ method: MethodModel) {
        let (request, response) = (method.descriptor.inputType.fullName, method.descriptor.outputType.fullName)
        let streams = "\(method.descriptor.clientStreaming) \(method.descriptor.serverStreaming)"
        let idempotency = method.idempotency.rawValue
        write("method \(method.name) \(request) \(response) \(streams) \(idempotency)", method.rules)
    }

    private mutating func add(_ message: MessageModel) {
        canonical += "message \(message.fullName)\n"
        for field in message.fields {
            let shape = "\(field.descriptor.type.rawValue) \(field.arity.rawValue) \(field.hasPresence)"
            write("field \(field.descriptor.number) \(field.name) \(shape) \(typeName(field))", field.rules)
            if case .enumeration(let type) = field.kind { add(type) }
        }
    }

    private mutating func add(_ type: EnumDescriptor) {
        for value in type.values.sorted(by: { $0.number < $1.number }) {
            canonical += "value \(value.number) \(value.name)\n"
        }
    }

    private func typeName(_ field: FieldModel) -> String {
        switch field.kind {
        case .message(let type): type.fullName
        case .enumeration(let type): type.fullName
        case .number(let name): name
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "timestamp"
        case .duration: "duration"
        }
    }

    private mutating func write(_ line: String, _ rules: some Message) {
        canonical += "\(line)\n\(rules.textFormatString())"
    }
}
