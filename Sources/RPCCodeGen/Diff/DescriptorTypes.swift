import SwiftProtobuf

/// The types that descriptors declare and those that they use.
struct DescriptorTypes {
    private var messages: Set<String> = []
    private var enumerations: Set<String> = []
    private var usedMessages: [String] = []
    private var usedEnumerations: [String] = []
    private var malformed: String?

    /// The first that is used and not declared, or declared in a way that protoc never writes; nil when all is well.
    var firstUnknown: String? {
        malformed ?? usedMessages.first { !messages.contains($0) } ?? usedEnumerations.first { !enumerations.contains($0) }
    }

    mutating func add(_ file: Google_Protobuf_FileDescriptorProto) {
        let scope = file.package.isEmpty ? "" : ".\(file.package)"
        for message in file.messageType { add(message, in: scope) }
        for enumeration in file.enumType { add(enumeration, in: scope) }
        for field in file.extension { use(field, isExtension: true) }
        for method in file.service.flatMap(\.method) { usedMessages += [method.inputType, method.outputType] }
    }

    private mutating func add(_ message: Google_Protobuf_DescriptorProto, in scope: String) {
        let name = "\(scope).\(message.name)"
        messages.insert(name)
        for inner in message.nestedType { add(inner, in: name) }
        for enumeration in message.enumType { add(enumeration, in: name) }
        for field in message.field {
            use(field)
            if field.hasOneofIndex, !message.oneofDecl.indices.contains(Int(field.oneofIndex)) { malformed = name }
        }
        for field in message.extension { use(field, isExtension: true) }
        if message.options.mapEntry, message.field.map(\.number) != [1, 2] { malformed = name }
    }

    private mutating func add(_ enumeration: Google_Protobuf_EnumDescriptorProto, in scope: String) {
        let name = "\(scope).\(enumeration.name)"
        enumerations.insert(name)
        if enumeration.value.isEmpty { malformed = name }
    }

    private mutating func use(_ field: Google_Protobuf_FieldDescriptorProto, isExtension: Bool = false) {
        if !field.hasJsonName || field.extendee.isEmpty == isExtension { malformed = field.name }
        if isExtension, field.hasOneofIndex { malformed = field.name }
        if !field.hasOneofIndex, field.proto3Optional, !isExtension { malformed = field.name }
        if isExtension { usedMessages.append(field.extendee) }
        switch field.type {
        case .message, .group: usedMessages.append(field.typeName)
        case .enum: usedEnumerations.append(field.typeName)
        default: break
        }
    }
}
