import RPCCore

/// The schemas of the messages that were referred to, each once.
struct SchemaCollector {
    private(set) var members: [JSONValue.Member] = []
    private var names: Set<String> = []

    /// A reference to the schema of `message`, which is added with all that it refers to.
    ///
    /// - Parameter left: Fields that come from elsewhere; a message without some of its fields has a schema in place.
    mutating func reference(to message: MessageDescriptor, without left: Set<String> = []) -> JSONValue {
        guard left.isEmpty else { return schema(of: message, without: left) }
        let name = Self.name(of: message)
        if names.insert(name).inserted {
            let schema = schema(of: message, without: [])
            members.append(.init(name, schema))
        }
        return .reference(schema: name)
    }

    /// The schema of a field's values, its arity included.
    mutating func schema(of field: FieldDescriptor) -> JSONValue {
        switch field.arity {
        case .single: return .object(single(field))
        case .list:
            var members: [JSONValue.Member] = [
                .init("type", .string("array")), .init("items", .object(single(field))),
            ]
            if let limit = field.maxLength { members.append(.init("maxItems", .int(Int64(limit)))) }
            return .object(members)
        case .map:
            return .object([
                .init("type", .string("object")), .init("additionalProperties", .object(single(field))),
            ])
        }
    }

    /// `lockstep.auth.v1.User` -> `auth.v1.User`: what OpenAPI allows in a name, and no two messages share.
    private static func name(of message: MessageDescriptor) -> String {
        let prefix = "lockstep."
        return message.name.hasPrefix(prefix) ? String(message.name.dropFirst(prefix.count)) : message.name
    }

    private mutating func schema(of message: MessageDescriptor, without left: Set<String>) -> JSONValue {
        let fields = message.withoutCookies.fields.filter { !left.contains($0.name) }
        let properties = fields.map { JSONValue.Member($0.name, schema(of: $0)) }
        return .schema(properties: properties, required: fields.filter(\.isRequired).map(\.name))
    }

    private mutating func single(_ field: FieldDescriptor) -> [JSONValue.Member] {
        switch field.kind {
        case .bool: Self.type("boolean")
        case .int32: Self.type("integer", format: "int32")
        case .uint32: Self.type("integer") + [.init("minimum", .int(0))]
        // 64 bits do not fit JavaScript's numbers: text, as protobuf's JSON has it.
        case .int64: Self.type("string", format: "int64")
        case .uint64: Self.type("string", format: "uint64")
        case .float: Self.type("number", format: "float")
        case .double: Self.type("number", format: "double")
        case .bytes: Self.type("string") + [.init("contentEncoding", .string("base64"))]
        case .timestamp: Self.type("string", format: "date-time")
        case .duration: Self.type("string")
        case .string: Self.text(field)
        case .enumeration(_, let names):
            Self.type("string") + [.init("enum", .array(names.map { .string($0) }))]
        case .message(let descriptor): referenceMembers(to: descriptor())
        }
    }

    private mutating func referenceMembers(to message: MessageDescriptor) -> [JSONValue.Member] {
        guard case .object(let members) = reference(to: message) else { return [] }
        return members
    }

    /// Lengths of the contract are in bytes, those of JSON Schema in characters: a text may be refused that the schema
    /// takes, never the other way round. A required text is never empty.
    private static func text(_ field: FieldDescriptor) -> [JSONValue.Member] {
        var members = type("string", format: field.format == .email ? "email" : nil)
        if field.format == .identifier { members.append(.init("pattern", .string("^[A-Za-z0-9_-]+$"))) }
        if field.isRequired { members.append(.init("minLength", .int(1))) }
        if let limit = field.maxLength, field.arity == .single {
            members.append(.init("maxLength", .int(Int64(limit))))
        }
        return members
    }

    private static func type(_ name: String, format: String? = nil) -> [JSONValue.Member] {
        [.init("type", .string(name))] + (format.map { [.init("format", .string($0))] } ?? [])
    }
}
