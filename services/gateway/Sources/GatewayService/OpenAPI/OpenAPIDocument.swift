import RPCCore

/// The OpenAPI 3.1 description of the routes, from the contract's descriptors.
package enum OpenAPIDocument {
    package static let version = "3.1.0"
    static let securityScheme = "bearer"
    static let clientScheme = "client"
    static let problemSchema = "Problem"
    static let oauthSchema = "OAuthError"

    package static func json(for routes: RouteTable) -> JSONValue {
        var schemas = SchemaCollector()
        let paths = Self.paths(routes.routes, &schemas)
        return .object([
            .init("openapi", .string(version)),
            .init("info", info),
            .init("paths", paths),
            .init(
                "components",
                .object([
                    .init("schemas", .object(schemas.members + [.init(problemSchema, problem), .init(oauthSchema, oauthError)])),
                    .init("securitySchemes", .object([.init(securityScheme, bearer), .init(clientScheme, client)])),
                ])),
        ])
    }

    private static let info = JSONValue.object([
        .init("title", .string("Lockstep")), .init("version", .string("1")),
        .init("description", .string("Generated from the contract: every route is a method of a service.")),
    ])

    private static let bearer = JSONValue.object([
        .init("type", .string("http")), .init("scheme", .string("bearer")), .init("bearerFormat", .string("JWT")),
    ])

    /// A client's id and secret (RFC 6749, section 2.3.1).
    private static let client = JSONValue.object([.init("type", .string("http")), .init("scheme", .string("basic"))])

    /// RFC 6749, section 5.2, in JSON Schema.
    private static let oauthError: JSONValue = {
        let text = JSONValue.object([.init("type", .string("string"))])
        return .schema(properties: [.init("error", text), .init("error_description", text)], required: ["error"])
    }()

    /// The verbs of one path stand together, in the order of the contract.
    private static func paths(_ routes: [Route], _ schemas: inout SchemaCollector) -> JSONValue {
        var order: [String] = []
        var operations: [String: [JSONValue.Member]] = [:]
        for route in routes {
            let path = route.http.template
            if operations[path] == nil { order.append(path) }
            let operation = Operation(route).json(&schemas)
            operations[path, default: []].append(.init(route.http.verb.rawValue.lowercased(), operation))
        }
        return .object(order.map { .init($0, .object(operations[$0] ?? [])) })
    }

    /// `Problem` in JSON Schema.
    private static let problem: JSONValue = {
        let text = JSONValue.object([.init("type", .string("string"))])
        let violation = JSONValue.schema(
            properties: [.init("field", text), .init("message", text)], required: ["field", "message"])
        let errors = JSONValue.object([.init("type", .string("array")), .init("items", violation)])
        let status = JSONValue.object([.init("type", .string("integer"))])
        return .schema(
            properties: [
                .init("type", text), .init("title", text), .init("status", status), .init("detail", text),
                .init("code", text), .init("request_id", text), .init("errors", errors),
            ], required: ["type", "title", "status", "detail", "code", "request_id"])
    }()
}

extension JSONValue {
    static func schema(properties: [Member], required: [String]) -> JSONValue {
        var members: [Member] = [.init("type", .string("object")), .init("properties", .object(properties))]
        if !required.isEmpty { members.append(.init("required", .array(required.map { .string($0) }))) }
        return .object(members)
    }

    static func reference(schema name: String) -> JSONValue {
        .object([.init("$ref", .string("#/components/schemas/\(name)"))])
    }
}
