import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// One field and what its options say. For a map, `kind` is that of its values.
struct FieldModel {
    enum Kind {
        /// As in the runtime's `FieldDescriptor.Kind`: `int32`, `uint64`, `double`, `bool`, ...
        case number(String)
        case string
        case bytes
        case enumeration(EnumDescriptor)
        case message(Descriptor)
        case timestamp
        case duration
    }

    enum Arity: String {
        case single
        case list
        case map
    }

    let descriptor: FieldDescriptor
    let rules: ContractFieldRules
    let kind: Kind
    let arity: Arity

    init(_ descriptor: FieldDescriptor) {
        self.descriptor = descriptor
        self.rules = descriptor.options.Contractfield
        self.kind = Kind(descriptor.isMap ? descriptor.messageType.mapKeyAndValue?.value ?? descriptor : descriptor)
        self.arity = descriptor.isMap ? .map : descriptor.isRepeated ? .list : .single
    }

    var name: String { descriptor.name }
    var isSecret: Bool { rules.class == .secret }
    /// How HTTP carries the field in a cookie; nil when it does not.
    var cookie: ContractHTTPCookie? { rules.hasHTTPCookie ? rules.httpCookie : nil }
    var isHidden: Bool { rules.class != .open && rules.class != .unspecified }
    /// Unset differs from the default, and Swift has a `hasX` for it.
    var hasPresence: Bool { arity == .single && descriptor.hasPresence }

    /// What may stand in it is restricted by more than its type.
    var hasRules: Bool { rules.required || rules.minLength > 0 || rules.maxLength > 0 || rules.format != .unspecified }

    var isText: Bool {
        if case .string = kind { true } else { false }
    }

    var isBytes: Bool {
        if case .bytes = kind { true } else { false }
    }

    /// A timestamp or a duration.
    var isTime: Bool {
        switch kind {
        case .timestamp, .duration: true
        default: false
        }
    }

    /// The message that the field or its items hold, of the contract's own.
    var message: MessageModel? {
        if case .message(let descriptor) = kind { MessageModel(descriptor) } else { nil }
    }
}

extension FieldModel.Kind {
    init(_ field: FieldDescriptor) {
        switch field.type {
        case .string: self = .string
        case .bytes: self = .bytes
        case .enum: self = .enumeration(field.enumType)
        case .message, .group: self = Self.message(field.messageType)
        case .bool: self = .number("bool")
        case .float: self = .number("float")
        case .double: self = .number("double")
        case .int32, .sint32, .sfixed32: self = .number("int32")
        case .int64, .sint64, .sfixed64: self = .number("int64")
        case .uint32, .fixed32: self = .number("uint32")
        case .uint64, .fixed64: self = .number("uint64")
        }
        guard case .message(let type) = self else { return }
        switch type.fullName {
        case "google.protobuf.Timestamp": self = .timestamp
        case "google.protobuf.Duration": self = .duration
        default: break
        }
    }
}
